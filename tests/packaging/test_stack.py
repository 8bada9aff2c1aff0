"""The compose file's own processes, outside of containers: a job goes the whole way through nginx on real servers."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from stillhouse import Stillhouse, Unauthorized
from tests.packaging.composition import interpolated, seconds, services
from tests.packaging.gateway import free_port, gateway, wait_until_it_listens
from tests.servers import process

SERVICES = services()
TEACHER = {"kind": "mlp", "inputs": 4, "hidden": [16], "classes": 2}
STUDENT = {"kind": "mlp", "inputs": 4, "hidden": [2], "classes": 2}


def _environment(name: str, here: dict[str, str]) -> dict[str, str]:
    fixed = {key: str(value) for key, value in SERVICES[name]["environment"].items() if value is not None}
    filled = {key: interpolated(value, {"POSTGRES_PASSWORD": "unused"}) for key, value in fixed.items()}
    return filled | here | {"PATH": "/usr/bin:/bin", "PYTHONSAFEPATH": "1"}


def _command(name: str, port: int) -> list[str]:
    own = {"python": sys.executable, "0.0.0.0": "127.0.0.1", "8000": str(port)}
    return [own.get(word, word) for word in SERVICES[name]["command"]]


@pytest.fixture
def service(postgresql_url: str, broker_url: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The stack without its containers: other addresses and folders, the same commands and settings.

    Its URL, and the first key, made as docs/deployment.md says.
    """
    here = {"STILLHOUSE_DATA": str(tmp_path / "data"), "STILLHOUSE_DATABASE_URL": postgresql_url}
    here["STILLHOUSE_BROKER_URL"] = broker_url
    port = free_port()
    subprocess.run(_command("migrate", port), check=True, cwd="/", env=_environment("migrate", here))
    with ExitStack() as running:
        for name in ("api", "worker-cpu", "janitor"):
            command, log = _command(name, port), tmp_path / f"{name}.log"
            grace = seconds(SERVICES[name]["stop_grace_period"])
            running.enter_context(process(command, log, _environment(name, here), grace))
        wait_until_it_listens(port)
        front = running.enter_context(gateway(tmp_path, port))
        first = [sys.executable, "-m", "app.accounts", "bootstrap"]
        made = subprocess.run(first, check=True, cwd="/", env=_environment("api", here), capture_output=True, text=True)
        yield f"http://127.0.0.1:{front}", made.stdout


def test_a_job_goes_the_whole_way(service: tuple[str, str], tmp_path: Path) -> None:
    url, key = service
    with Stillhouse(url) as stranger, pytest.raises(Unauthorized):
        stranger.workers.list()
    inputs = np.random.default_rng(0).normal(size=(120, 4)).astype("float32")
    np.savez(tmp_path / "set.npz", inputs=inputs, labels=(inputs[:, 0] > 0).astype("int64"))
    torch.manual_seed(0)
    layers = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 2))
    save_file(layers.state_dict(), tmp_path / "teacher.safetensors")
    with Stillhouse(url, api_key=key) as client:
        teacher = client.models.create(tmp_path / "teacher.safetensors", architecture=TEACHER)
        data = client.datasets.create(tmp_path / "set.npz")
        job = client.jobs.create(
            teacher=teacher, student={"architecture": STUDENT}, transfer_set=data, control=False, training={"epochs": 2}
        )
        job.follow()
        job.student.download(tmp_path / "student.safetensors")
    assert (
        sum(tensor.numel() for tensor in load_file(tmp_path / "student.safetensors").values()) == 4 * 2 + 2 + 2 * 2 + 2
    )
