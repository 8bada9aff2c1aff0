"""The images' installation, and the API as it runs from it: without torch, behind nginx."""

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.packaging.composition import services
from tests.packaging.gateway import free_port, gateway, wait_until_it_listens
from tests.packaging.installation import install, run

pytestmark = [pytest.mark.xdist_group("install"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed API."""
    return install("api", tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def url(bin_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The installed API, migrated and started with the compose file's own commands, as seen through nginx."""
    folder, port = tmp_path_factory.mktemp("service"), free_port()
    settings = {"PATH": str(bin_folder), "PYTHONSAFEPATH": "1", "STILLHOUSE_DATA": str(folder / "data")}
    settings["STILLHOUSE_BROKER_URL"] = f"redis://127.0.0.1:{free_port()}/0"  # away: submitting works without it
    migrate, serve = (_command(name, bin_folder) for name in ("migrate", "api"))
    serve[serve.index("0.0.0.0")], serve[serve.index("8000")] = "127.0.0.1", str(port)
    subprocess.run(migrate, check=True, cwd=folder, env=settings)
    process = subprocess.Popen(serve, cwd=folder, env=settings)
    try:
        wait_until_it_listens(port)
        with gateway(folder, port) as front:
            yield f"http://127.0.0.1:{front}"
    finally:
        process.terminate()
        process.wait(20)


def _command(service: str, bin_folder: Path) -> list[str]:
    command: list[str] = services()[service]["command"]
    return [str(bin_folder / command[0]), *command[1:]]


@pytest.mark.parametrize("module", ["torch", "numpy", "safetensors", "worker"])
def test_the_api_is_installed_without(module: str, bin_folder: Path) -> None:
    assert run(bin_folder / "python", f"import importlib.util as u; print(u.find_spec('{module}'))") == "None"


def test_what_the_api_image_runs_is_installed(bin_folder: Path) -> None:
    code = "import app.main, migrations, stillhouse; print(app.main.__file__, migrations.head())"
    where, head = run(bin_folder / "python", code).split()
    assert Path(where).is_relative_to(bin_folder.parent)
    assert head


def test_the_installed_api_is_alive_behind_nginx(url: str) -> None:
    answer = httpx2.get(f"{url}/healthz", headers={"X-Request-ID": "first"})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["x-request-id"] == "first"


def test_its_schema_is_the_newest_and_its_store_works(url: str) -> None:
    parts = httpx2.get(f"{url}/readyz", timeout=20).json()["parts"]
    assert {name for name, part in parts.items() if part["ok"]} == {"database", "migrations", "store", "sandbox"}
    assert parts["broker"]["ok"] is False


def test_an_upload_goes_through_and_a_refusal_comes_back_as_the_api_words_it(url: str) -> None:
    content = os.urandom(3 * 2**20)
    stored = httpx2.post(f"{url}/v1/files", files={"file": ("teacher.bin", content)})
    assert stored.status_code == 201, stored.text
    assert stored.json()["sha256"] == hashlib.sha256(content).hexdigest()
    too_large = httpx2.post(f"{url}/v1/jobs", content=b" " * (2**20 + 1), headers={"Content-Type": "application/json"})
    assert (too_large.status_code, too_large.json()["code"]) == (413, "payload_too_large")
    assert "1048576 bytes" in too_large.json()["detail"]  # the API's words: nginx's own bound lies behind


def test_swagger_ui_comes_with_its_files(url: str) -> None:
    assert httpx2.get(f"{url}/docs").status_code == 200


def _wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel of a package with nothing in it, as a page of a simple index would offer it."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")


def test_the_workers_torch_comes_from_the_index_it_is_told(tmp_path: Path) -> None:
    for name, admitted in (("torch", "2.13.0+ztest"), ("torchvision", "0.28.0+ztest")):
        page = tmp_path / "index" / name
        page.mkdir(parents=True)
        for version in (admitted, "2.14.0+ztest"):  # the constraints admit the first one only
            _wheel(page, name, version)
        links = "".join(f'<a href="{wheel.name}">{wheel.name}</a>' for wheel in sorted(page.iterdir()))
        (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")
    # The other packages take minutes.
    settings = {"TORCH_INDEX_URL": (tmp_path / "index").as_uri(), "PIP_NO_DEPS": "1"}
    python = install("worker", tmp_path, settings) / "python"
    code = "import importlib.metadata as m; print(*map(m.version, ('torch', 'torchvision', 'stillhouse')))"
    assert run(python, code).startswith("2.13.0+ztest 0.28.0+ztest 0.")
    assert run(python, "import importlib.util as u; print(u.find_spec('worker.engine') is not None)") == "True"
