"""Jobs of several devices on a host without CUDA: real processes behind their walls, whatever is killed."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from app.contract.states import JobState
from app.queue import Bell
from tests.servers import Valkey
from tests.worker.conftest import House
from tests.worker.training import has_checkpoint
from tests.worker.waiting import eventually
from tests.worker.workers import children
from worker import child, errands, supervisor
from worker.devices import Host
from worker.drain import Drain
from worker.folders import job_folder
from worker.shutdown import Shutdown

pytestmark = pytest.mark.anyio
_PATIENCE = 300
TRAINING = {"epochs": 15}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


async def distill(house: House, stop: asyncio.Event) -> None:
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", stop)


async def student_of(house: House, job_id: str) -> str:
    job = await house.job(job_id)
    assert (job.state, job.failure_detail) == (JobState.SUCCEEDED, None), await house.log(job_id)
    return (await house.artifacts(job_id))["student"].sha256


def processes_of(folder: Path) -> list[int]:
    """Return those of a job: the first starts the others."""
    [starter] = [pid for pid in children(os.getpid()) if Path(f"/proc/{pid}/cwd").readlink() == folder]
    return [starter, *children(starter)]


async def test_stopped_and_killed_it_ends_with_the_student_of_one_process(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    shared = await house.submit_on(teacher, data, training=TRAINING, devices=2)
    folder = job_folder(house.settings, shared)

    stop = asyncio.Event()
    running = asyncio.ensure_future(distill(house, stop))
    await eventually(lambda: has_checkpoint(house, shared), seconds=_PATIENCE, what="the first checkpoint")
    assert len(processes_of(folder)) == 3
    stop.set()
    await running
    job = await house.job(shared)
    assert (job.state, job.attempt, job.losses) == (JobState.QUEUED, 1, 0)

    running = asyncio.ensure_future(distill(house, asyncio.Event()))
    await eventually(lambda: resumed(house, shared), seconds=_PATIENCE, what="the second attempt")
    os.kill(processes_of(folder)[2], signal.SIGKILL)
    await running
    job = await house.job(shared)
    assert (job.state, job.attempt, job.losses) == (JobState.QUEUED, 2, 1)
    assert child.evict(folder) == []

    await distill(house, asyncio.Event())
    alone = await house.submit_on(teacher, data, training={**TRAINING, "accumulation": 2})
    await distill(house, asyncio.Event())
    assert await student_of(house, shared) == await student_of(house, alone)


async def resumed(house: House, job_id: str) -> bool:
    return any(event.type == "resumed" for event in await house.events(job_id))


async def test_who_waits_is_told_when_a_device_becomes_free(
    house: House, monkeypatch: pytest.MonkeyPatch, valkey: Valkey
) -> None:
    """Who heard of the others while all devices were in use has dropped the hint."""
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    first, *_ = await house.submit(3, max_attempts=1)
    folder = job_folder(house.settings, first)
    folder.mkdir(parents=True)
    (folder / "script.json").write_text('[["exit", 1]]')
    valkey.wipe()
    assert await errands.distill(house.settings, "test", Shutdown(), Drain()) == first
    bell = Bell(house.settings.broker_url)
    assert await bell.waiting("distill") == 1
    await bell.close()
