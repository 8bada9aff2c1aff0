"""docker-compose.yml: valid by the published schema, and safe as it stands."""

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from app.settings import Settings
from tests.packaging.composition import PATH, Service, interpolated, seconds, services
from tests.packaging.dockerfile import DOCKERFILES, ROOT, instructions

SERVICES = services()
EACH = pytest.mark.parametrize("name", SERVICES)
OUR_IMAGES = {name: service for name, service in SERVICES.items() if service["image"].startswith("stillhouse/")}
OURS = {name: service for name, service in OUR_IMAGES.items() if name != "flower"}  # which is Celery's own
EACH_OF_OURS = pytest.mark.parametrize("name", OURS)
PREFIX = "STILLHOUSE_"


def test_it_is_valid_by_the_published_schema() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(PATH)]
    result = subprocess.run(check, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_docker_compose_itself_accepts_it() -> None:
    compose = [shutil.which("docker") or "docker", "compose"]
    try:
        subprocess.run([*compose, "version"], check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no docker client with the compose plugin")
    config = [*compose, "--file", str(PATH), "--profile", "gpu", "--profile", "cpu", "config", "--quiet"]
    environment = {**os.environ, "POSTGRES_PASSWORD": "x"}
    result = subprocess.run(config, check=False, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr


def test_it_has_the_parts_of_the_house() -> None:
    expected = {"nginx", "api", "migrate", "worker", "worker-cpu", "janitor", "flower", "postgres", "redis"}
    assert set(SERVICES) == expected


@EACH_OF_OURS
def test_who_needs_the_database_waits_for_its_schema(name: str) -> None:
    needs = OURS[name]["depends_on"]
    assert needs["postgres"]["condition"] == "service_healthy"
    if name != "migrate":
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert SERVICES["migrate"]["restart"] == "no"


def test_only_nginx_and_flower_are_reachable_and_only_from_this_host() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    ports = {name: [interpolated(port, {}) for port in given] for name, given in published.items()}
    assert ports == {"nginx": ["127.0.0.1:8000:8080"], "flower": ["127.0.0.1:5555:5555"]}
    assert "listen 8080;" in (ROOT / "deploy/nginx.conf").read_text()
    assert not any("network_mode" in service for service in SERVICES.values())


def test_flower_watches_the_broker_of_the_workers_and_knows_nothing_else() -> None:
    flower, worker = SERVICES["flower"], SERVICES["worker"]
    assert flower["environment"] == {"CELERY_BROKER_URL": worker["environment"]["STILLHOUSE_BROKER_URL"]}
    assert (flower["volumes"], list(flower["depends_on"])) == ([], ["redis"])


def test_nginx_reaches_the_api_and_nothing_else() -> None:
    on_front = {name for name, service in SERVICES.items() if "front" in service["networks"]}
    assert on_front == {"nginx", "api"}
    assert SERVICES["nginx"]["networks"] == ["front"]


@pytest.mark.owasp(8)
def test_no_secret_has_a_value_or_a_default() -> None:
    secret = re.compile("PASSWORD|SECRET|ACCESS_KEY|TOKEN")
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if secret.search(key) and value is not None:
                assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), key
    for variable in re.findall(r"\$\{[^}]+\}", PATH.read_text()):
        assert not secret.search(variable) or ":?" in variable, variable
    for line in (ROOT / "deploy/env.example").read_text().splitlines():
        key, _, value = line.lstrip("#").partition("=")
        assert not (key.isupper() and secret.search(key) and value), line


def test_every_setting_of_the_service_can_be_set_and_no_other() -> None:
    named = {key for service in OURS.values() for key in service["environment"] if key.startswith(PREFIX)}
    assert named == {PREFIX + field.upper() for field in Settings.model_fields}


def test_what_the_example_sets_is_read_by_the_compose_file() -> None:
    lines = [line.lstrip("#") for line in (ROOT / "deploy/env.example").read_text().splitlines()]
    keys = {key for key, found, _ in (line.partition("=") for line in lines) if found and re.fullmatch(r"\w+", key)}
    text = PATH.read_text()
    unread = {key for key in keys if f"${{{key}" not in text and not re.search(rf"^\s+{key}:", text, re.MULTILINE)}
    assert unread == {"COMPOSE_PROFILES"}  # Compose's own


@EACH_OF_OURS
def test_the_fixed_settings_are_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in OURS[name]["environment"].items():
        if value is not None:
            monkeypatch.setenv(key, interpolated(str(value), {"POSTGRES_PASSWORD": "0123abcd"}))
    settings = Settings()
    assert settings.database == "postgresql+psycopg://stillhouse:0123abcd@postgres:5432/stillhouse"
    assert settings.store == f"{settings.data.as_uri()}/blobs"
    assert f"data:{settings.data}" in OURS[name]["volumes"]


@EACH_OF_OURS
def test_commands_exist(name: str) -> None:
    python, flag, module, *rest = OURS[name]["command"]
    assert (python, flag) == ("python", "-m")
    assert importlib.util.find_spec(f"{module}.__main__"), module
    if module == "uvicorn":
        target, _, factory = rest[1].partition(":")
        assert callable(getattr(importlib.import_module(target), factory))
    elif rest:
        asked = subprocess.run(
            [sys.executable, flag, module, *rest, "--help"], check=False, capture_output=True, text=True
        )
        assert asked.returncode == 0, asked.stderr


@EACH
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?(-\w[\w.]*)?", SERVICES[name]["image"])


@EACH_OF_OURS
def test_our_images_are_built_from_our_dockerfiles_under_our_version(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert OURS[name]["image"].split(":")[1].removesuffix("-cpu") == version
    path = ROOT / OURS[name]["build"]["dockerfile"]
    assert path in DOCKERFILES.values()
    accepted = {entry.arguments.partition("=")[0] for entry in instructions(path) if entry.word == "ARG"}
    assert set(OURS[name]["build"].get("args", {})) <= accepted


def test_equal_images_are_built_alike() -> None:
    for image in {service["image"] for service in OUR_IMAGES.values()}:
        builds = [service["build"] for service in OUR_IMAGES.values() if service["image"] == image]
        assert all(build == builds[0] for build in builds), image


@EACH
def test_containers_are_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]  # and the default seccomp profile
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert service.get("user", "root") != "root" or name in OUR_IMAGES  # ours set their user in the image


def _gpus(service: Service) -> list[dict[str, object]]:
    devices: list[dict[str, object]] = (
        service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
    )
    return devices


def test_the_gpu_worker_reserves_gpus_and_the_cpu_worker_does_without() -> None:
    assert _gpus(SERVICES["worker"]) == [{"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}]
    assert [name for name, service in SERVICES.items() if _gpus(service)] == ["worker"]
    assert {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service} == {
        "worker": ["gpu"],
        "worker-cpu": ["cpu"],
        "flower": ["flower"],
    }
    assert SERVICES["worker"]["command"] == SERVICES["worker-cpu"]["command"]


@pytest.mark.parametrize("name", ["worker", "worker-cpu", "janitor"])
def test_a_worker_has_time_to_write_its_checkpoint(name: str) -> None:
    grace = int(SERVICES[name]["environment"]["STILLHOUSE_STOP_GRACE_SECONDS"])
    assert seconds(SERVICES[name]["stop_grace_period"]) >= grace + 15


def test_streams_cannot_hold_up_a_stop_of_the_api() -> None:
    command = SERVICES["api"]["command"]
    graceful = int(command[command.index("--timeout-graceful-shutdown") + 1])
    assert seconds(SERVICES["api"]["stop_grace_period"]) > graceful


def test_the_broker_and_the_database_keep_their_data() -> None:
    broker = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes --appendfsync everysec" in broker
    assert SERVICES["redis"]["volumes"] == ["redis:/data"]
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
