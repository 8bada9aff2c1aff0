"""Devices and the slots on them: what workers call them, who holds them, and what becomes of them when he is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.queue import Bell
from app.settings import Settings
from tests.servers import wait_until
from tests.worker import nvidia
from tests.worker.conftest import House
from tests.worker.training import ENDLESS, at_work
from tests.worker.waiting import eventually
from tests.worker.workers import Worker, alive, worker
from worker import errands, gpus
from worker.devices import cuda_devices, slot_count, take_slot

FIRST, SECOND = (gpu.uuid for gpu in gpus.parse_list(nvidia.TWO))
HOLDER = """
import json, os, subprocess, sys
from app.settings import Settings
from worker.devices import take_slot
with take_slot(Settings()) as slot:
    engine = None
    if slot and "engine" in sys.argv:
        engine = subprocess.Popen(["sleep", "60"], pass_fds=slot.locks).pid
    print(json.dumps([slot and slot.cuda, engine]), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def bare(tmp_path: Path) -> Settings:
    """Of a host, without the service's servers."""
    return Settings(data=tmp_path / "data", threads=1)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia.install(monkeypatch, tmp_path, nvidia.TWO)


def test_a_listing_is_read_with_the_parts_of_each_gpu() -> None:
    assert [gpu.index for gpu in gpus.parse_list(nvidia.TWO)] == ["0", "1"]
    cut, whole = gpus.parse_list(nvidia.CUT)
    assert [len(cut.parts), len(whole.parts)] == [2, 0]
    assert cut.parts[1] == f"MIG-{cut.uuid}/2/0"
    assert gpus.parse_list("No devices were found\n") == []


def test_what_a_driver_does_not_tell_is_none() -> None:
    busy, silent = (use for _, use in gpus.parse_use(nvidia.USED))
    assert (busy.gpu, busy.memory_used, busy.memory_total, busy.utilization) == ("0", 61035 << 20, 81559 << 20, 0.97)
    assert (silent.gpu, silent.memory_used, silent.memory_total, silent.utilization) == ("1", None, 81559 << 20, None)
    assert gpus.parse_use("No devices were found\n\n0, GPU-1, cut sho") == []


def test_the_use_of_a_workers_own_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert gpus.in_use(["cpu"]) == []
    monkeypatch.setenv("PATH", nvidia.search_path(tmp_path, nvidia.TWO, nvidia.USED))
    assert [(use.device, use.gpu) for use in gpus.in_use(["cuda:GPU-7b9d", "cuda:7"])] == [("cuda:GPU-7b9d", "1")]
    monkeypatch.setenv("PATH", nvidia.search_path(tmp_path, nvidia.CUT, nvidia.USED))
    assert gpus.in_use([f"cuda:{gpus.parse_list(nvidia.CUT)[0].parts[0]}"]) == []


def test_a_gpu_that_is_cut_gives_its_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia.install(monkeypatch, tmp_path, nvidia.CUT)
    assert cuda_devices() == [*gpus.installed()[0].parts, "1"]


@pytest.mark.parametrize(
    ("visible", "devices"),
    [("", []), ("-1", []), ("1", ["1"]), ("1, 0", ["1", "0"]), ("0,-1,1", ["0"]), ("GPU-7b9d", ["GPU-7b9d"])],
)
def test_the_environment_chooses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str, devices: list[str]
) -> None:
    nvidia.install(monkeypatch, tmp_path, nvidia.TWO, visible)
    assert cuda_devices() == devices


@pytest.mark.parametrize(
    ("name", "device"),
    [("0", FIRST), ("1", SECOND), (SECOND, SECOND), ("GPU-7b", SECOND), ("GPU-", "GPU-"), ("7", "7")],
)
def test_a_device_has_one_identity_whatever_it_is_called(name: str, device: str) -> None:
    assert gpus.identity(name, gpus.parse_list(nvidia.TWO)) == device


def test_a_program_that_fails_tells_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia.install(monkeypatch, tmp_path, nvidia.TWO)
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: half (UUID: GPU-1)'\nexit 9\n")
    assert gpus.installed() == []


@pytest.mark.usefixtures("two")
def test_each_device_has_one_job_before_any_has_a_second(bare: Settings) -> None:
    shared = bare.model_copy(update={"slots": 3})
    assert (slot_count(bare), slot_count(shared)) == (2, 3)
    with ExitStack() as stack:
        taken = [stack.enter_context(take_slot(shared)) for _ in range(4)]
    assert [slot and slot.cuda for slot in taken] == ["0", "1", "0", None]
    with take_slot(shared) as slot:
        assert slot


@contextmanager
def holder(
    settings: Settings, visible: str, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], str | None, int]]:
    """Another process that holds a slot: its device, and the process id of its engine."""
    environment = {**os.environ, "STILLHOUSE_DATA": str(settings.data), "CUDA_VISIBLE_DEVICES": visible}
    command = [sys.executable, "-c", HOLDER, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            cuda, engine = json.loads(process.stdout.readline())
            yield process, cuda, engine
        finally:
            process.stdin.close()


@pytest.mark.usefixtures("two")
def test_two_workers_never_share_a_device_whatever_they_call_it(bare: Settings) -> None:
    with holder(bare, "1,0") as (_, first, _), holder(bare, f"{SECOND[:12]},{FIRST}") as (_, second, _):
        assert (first, second) == ("1", FIRST)
        with holder(bare, "1") as (_, third, _):
            assert third is None


@pytest.mark.usefixtures("two")
def test_a_killed_slot_frees_its_device_when_its_engine_has_ended_too(bare: Settings) -> None:
    with holder(bare, "0", "engine") as (process, _, engine):
        process.kill()
        process.wait()
        with holder(bare, "0") as (_, cuda, _):
            assert cuda is None
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: not alive(engine), what="the engine's end")
        with holder(bare, "0") as (_, cuda, _):
            assert cuda == "0"


async def every_hint_taken(house: House) -> bool:
    bell = Bell(house.settings.broker_url)
    try:
        return await bell.waiting("distill") == 0
    finally:
        await bell.close()


async def sweep_until_at_work(house: House, running: Worker) -> bool:
    await errands.sweep_up(house.settings)
    return bool(running.engines())


@pytest.mark.anyio
async def test_one_device_has_one_job_until_its_worker_is_killed(house: House, tmp_path: Path) -> None:
    one = nvidia.TWO.splitlines(keepends=True)[0]
    seen = {"PATH": nvidia.search_path(tmp_path, one)}
    held, waits = await house.submit(2, training=ENDLESS)
    with worker(house.settings, CUDA_VISIBLE_DEVICES="0", **seen) as first:
        await at_work(house, held)
        [engine] = first.engines()
        assert "CUDA_VISIBLE_DEVICES=0" in Path(f"/proc/{engine}/environ").read_text().split("\0")
        with worker(house.settings, CUDA_VISIBLE_DEVICES=FIRST[:10], **seen) as second:
            await eventually(lambda: every_hint_taken(house), what="a hint for the second worker")
            await asyncio.sleep(0.5)
            assert (second.engines(), (await house.job(waits)).attempt) == ([], 0)
            first.kill()
            await eventually(
                lambda: sweep_until_at_work(house, second), seconds=90, what="a job on the device that is free"
            )
            assert not alive(engine)
