"""Devices and the slots on them: what workers call them, who holds them, and what becomes of them when he is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from app.contract.devices import Devices
from app.queue import Bell
from app.settings import Settings
from tests.servers import wait_until
from tests.worker import nvidia
from tests.worker.conftest import House
from tests.worker.training import ENDLESS, at_work
from tests.worker.waiting import eventually
from tests.worker.workers import Worker, alive, command_of, worker
from worker import errands, gpus
from worker.devices import Host, Slot, cuda_devices, host, slot_count

FIRST, SECOND = (gpu.uuid for gpu in gpus.parse_list(nvidia.TWO))
HOLDER = """
import json, os, subprocess, sys
from app.settings import Settings
from worker.devices import host
with host(Settings()) as here:
    here.take(int(sys.argv[1]))
    slot = here.slot
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


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nvidia.install(monkeypatch, tmp_path, nvidia.FOUR)


@contextmanager
def taken(settings: Settings, *wanted: int) -> Iterator[list[Slot | None]]:
    """What slots beside one another get that want so many devices."""
    with ExitStack() as stack:
        slots = [stack.enter_context(host(settings)) for _ in wanted]
        yield [here.slot if here.take(devices) else None for here, devices in zip(slots, wanted, strict=True)]


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
    with taken(shared, 1, 1, 1, 1) as slots:
        assert cuda_of(slots) == ["0", "1", "0", None]
    with taken(shared, 1) as slots:
        assert cuda_of(slots) == ["0"]


def cuda_of(slots: list[Slot | None]) -> list[str | None]:
    return [slot.cuda if slot else None for slot in slots]


@pytest.mark.usefixtures("four")
def test_a_job_of_several_devices_gets_all_of_them_or_none(bare: Settings) -> None:
    with taken(bare, 1, 2, 2, 1, 1) as slots:  # the third got none: what it needs is left to others
        assert cuda_of(slots) == ["0", "1,2", None, "3", None]
        assert [len(slot.locks) for slot in slots if slot] == [1, 2, 1]
        assert all(slot.processes == len(slot.locks) for slot in slots if slot)
    with taken(bare, 5, 4) as slots, host(bare) as here:
        assert cuda_of(slots) == [None, "0,1,2,3"]
        assert here.most == Devices(4, 4)


@pytest.mark.usefixtures("two")
def test_several_devices_are_different_ones(bare: Settings) -> None:
    shared = bare.model_copy(update={"slots": 4})
    with taken(shared, 1, 2, 2) as slots:
        assert cuda_of(slots) == ["0", "1,0", None]
    with taken(bare.model_copy(update={"slots": 1}), 2) as slots:
        assert cuda_of(slots) == ["0,1"]


@pytest.mark.usefixtures("four")
def test_of_many_who_want_most_devices_at_once_one_gets_them(bare: Settings) -> None:
    with ThreadPoolExecutor(8) as pool, ExitStack() as stack:
        slots = [stack.enter_context(host(bare)) for _ in range(8)]
        got = list(pool.map(lambda here: here.take(3), slots))
    assert sum(got) == 1


@pytest.mark.usefixtures("two")
def test_what_is_taken_next_takes_the_place_of_the_last(bare: Settings) -> None:
    with host(bare) as here, host(bare) as other:
        assert here.take(2)
        assert here.take(1)
        assert other.take(1)
        assert not here.take(2)
        assert other.take(2)


def test_without_cuda_processes_share_the_threads_of_a_slot() -> None:
    here = Host(threads=4)
    assert [here.take(devices) and here.slot for devices in (1, 2, 8)] == [
        Slot(4), Slot(2, processes=2), Slot(1, processes=8)
    ]  # fmt: skip


@contextmanager
def holder(
    settings: Settings, visible: str, *arguments: str, devices: int = 1
) -> Iterator[tuple[subprocess.Popen[str], str | None, int]]:
    """Another process that holds a slot: its device, and the process id of its engine."""
    environment = {**os.environ, "STILLHOUSE_DATA": str(settings.data), "CUDA_VISIBLE_DEVICES": visible}
    command = [sys.executable, "-c", HOLDER, str(devices), *arguments]
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
def test_a_killed_slot_frees_its_devices_when_its_engine_has_ended_too(bare: Settings) -> None:
    with holder(bare, "0,1", "engine", devices=2) as (process, taken, engine):
        assert taken == "0,1"
        process.kill()
        process.wait()
        with holder(bare, "1") as (_, cuda, _):
            assert cuda is None
        os.kill(engine, signal.SIGKILL)
        wait_until(lambda: not alive(engine), what="the engine's end")
        with holder(bare, "0,1", devices=2) as (_, cuda, _):
            assert cuda == "0,1"


async def every_hint_taken(house: House) -> bool:
    bell = Bell(house.settings.broker_url)
    try:
        return await bell.waiting("distill") == 0
    finally:
        await bell.close()


async def sweep_until_at_work(house: House, running: Worker) -> bool:
    await errands.sweep_up(house.settings)
    return bool(engines_of(running))


def engines_of(running: Worker) -> list[int]:
    """Return a worker's engines: its slots also run the driver's program, for a moment."""
    return [pid for pid in running.engines() if "worker.sandbox" in command_of(pid)]


@pytest.mark.anyio
async def test_one_device_has_one_job_until_its_worker_is_killed(house: House, tmp_path: Path) -> None:
    one = nvidia.TWO.splitlines(keepends=True)[0]
    seen = {"PATH": nvidia.search_path(tmp_path, one)}
    seen["STILLHOUSE_WARM_SECONDS"] = "0"  # only of a process that was started so, the kernel tells the environment
    held, waits = await house.submit(2, training=ENDLESS)
    with worker(house.settings, CUDA_VISIBLE_DEVICES="0", **seen) as first:
        await at_work(house, held)
        [engine] = engines_of(first)
        assert "CUDA_VISIBLE_DEVICES=0" in Path(f"/proc/{engine}/environ").read_text().split("\0")
        with worker(house.settings, CUDA_VISIBLE_DEVICES=FIRST[:10], **seen) as second:
            await eventually(lambda: every_hint_taken(house), what="a hint for the second worker")
            await asyncio.sleep(0.5)
            assert (engines_of(second), (await house.job(waits)).attempt) == ([], 0)
            first.kill()
            await eventually(
                lambda: sweep_until_at_work(house, second), seconds=90, what="a job on the device that is free"
            )
            assert not alive(engine)
