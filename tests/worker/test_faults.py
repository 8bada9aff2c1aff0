"""Workers and engines that are killed, frozen and stopped, for real; the real engine trains."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from app.contract.states import JobState
from app.db.base import DEFAULT_TENANT
from app.db.session import Database
from app.jobs import wishes
from app.queue import Bell, Doorbell
from app.settings import Settings
from tests.worker.conftest import House
from tests.worker.waiting import eventually
from tests.worker.workers import Worker, alive, children, worker
from worker import errands, supervisor
from worker.devices import Slot
from worker.folders import job_folder

pytestmark = pytest.mark.anyio
LONG = {"epochs": 120}
ENDLESS = {"epochs": 100_000}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is killed here never meets the database's dialect."""
    return sqlite_url


async def sweep_until_queued(house: House, job_id: str) -> bool:
    await errands.sweep_up(house.settings)
    return (await house.job(job_id)).state == JobState.QUEUED


async def has_checkpoint(house: House, job_id: str) -> bool:
    return any(event.type == "checkpoint" for event in await house.events(job_id))


async def over(house: House, job_id: str) -> None:
    await eventually(lambda: house.is_over(job_id), seconds=90, what="the end of the job")
    job = await house.job(job_id)
    assert (job.state, job.failure_detail) == (JobState.SUCCEEDED, None)
    await house.artifacts(job_id)


async def at_work(house: House, job_id: str) -> None:
    await eventually(lambda: has_checkpoint(house, job_id), seconds=90, what="the first checkpoint")


def kill_engine(folder: Path) -> None:
    for engine in children(os.getpid()):
        if Path(f"/proc/{engine}/cwd").readlink() == folder:
            os.kill(engine, signal.SIGKILL)


def engines(running: Worker) -> list[int]:
    return [engine for slot in running.slots() for engine in children(slot)]


async def test_a_killed_engine_resumes_to_the_same_student(house: House) -> None:
    """The student is, to the bit, the one of an undisturbed run."""
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    undisturbed, killed = [await house.submit_on(teacher, data, training=LONG) for _ in range(2)]

    async def distill() -> None:
        await supervisor.distill(house.database, house.store, house.settings, Slot(threads=1), "test", asyncio.Event())

    await distill()
    running = asyncio.create_task(distill())
    await at_work(house, killed)
    kill_engine(job_folder(house.settings, killed))
    await running
    job = await house.job(killed)
    assert (job.state, job.losses) == (JobState.QUEUED, 1)
    await distill()
    assert any(event.type == "resumed" for event in await house.events(killed))
    students = [(await house.artifacts(job_id))["student"].sha256 for job_id in (undisturbed, killed)]
    assert students[0] == students[1]


async def test_a_killed_worker_leaves_no_orphan_and_another_finishes(house: House) -> None:
    [job_id] = await house.submit(training=LONG)
    with worker(house.settings) as first:
        await at_work(house, job_id)
        tree = first.processes()
        assert len(tree) == 3  # main process, slot, engine
        first.kill()
        await eventually(lambda: none_alive(tree), seconds=10, what="the end of slot and engine")
    await eventually(lambda: sweep_until_queued(house, job_id), seconds=20, what="the lease's end")
    with worker(house.settings):
        await over(house, job_id)
    job = await house.job(job_id)
    assert (job.attempt, job.losses) == (2, 1)
    assert any(event.type == "resumed" for event in await house.events(job_id))


async def none_alive(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


async def test_a_frozen_worker_finds_its_job_gone(house: House) -> None:
    [job_id] = await house.submit(training=ENDLESS)
    with worker(house.settings) as frozen:
        await at_work(house, job_id)
        tree, [engine] = [frozen.main.pid, *frozen.slots()], engines(frozen)
        async with house.database.transaction() as session:
            await session.connection()  # holds SQLite's one write lock, so that no frozen process does
            for pid in tree:
                os.kill(pid, signal.SIGSTOP)
        await eventually(lambda: sweep_until_queued(house, job_id), seconds=20, what="the lease's end")
        with worker(house.settings) as second:
            await eventually(lambda: said(second, f"killed [{engine}]"), what="the end of the stale engine")
            await eventually(lambda: trains_in(house, job_id, attempt=2), what="the second attempt's training")
            for pid in tree:
                os.kill(pid, signal.SIGCONT)
            await eventually(lambda: said(frozen, "attempt 1 is over"), what="the end of the stale attempt")
            assert not alive(engine)
            await cancel(house, job_id)
            await eventually(lambda: house.is_over(job_id), what="the end of the job")
    attempts = [event.attempt for event in await house.events(job_id)]
    assert attempts == sorted(attempts)  # nothing of the first came after the second had begun
    job = await house.job(job_id)
    assert (job.attempt, job.state) == (2, JobState.CANCELLED)


async def trains_in(house: House, job_id: str, attempt: int) -> bool:
    return any(event.type == "step" and event.attempt == attempt for event in await house.events(job_id))


async def cancel(house: House, job_id: str) -> None:
    async with house.database.transaction() as session:
        await wishes.cancel(session, DEFAULT_TENANT, job_id)


async def said(running: Worker, words: str) -> bool:
    return words in running.said()


async def test_a_stopped_worker_gives_its_job_back_uncharged(house: House) -> None:
    [job_id] = await house.submit(training=LONG, max_attempts=1)
    with worker(house.settings) as first:
        await at_work(house, job_id)
        first.kill(signal.SIGTERM)
        assert first.ended(house.settings.stop_grace_seconds) == 0
    job = await house.job(job_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 0)
    with worker(house.settings):
        await over(house, job_id)
    assert any(event.type == "resumed" for event in await house.events(job_id))


async def test_lost_and_repeated_hints(house: House, settings: Settings) -> None:
    """The broker forgets the hint, the janitor rings; then it comes five times more, and one claim wins."""
    [job_id] = await house.submit()
    bell = Bell(settings.broker_url)
    assert await bell.waiting("distill") == 1
    with bell._celery.connection_for_write() as connection:
        connection.default_channel.client.flushall()
    assert await bell.waiting("distill") == 0
    await asyncio.sleep(settings.ring_again_seconds)
    for _ in range(3):  # sweeps add no hints to those that still lie there
        await errands.sweep_up(settings)
    assert await bell.waiting("distill") == 1
    for _ in range(5):
        await bell.ring(Doorbell("distill", job_id))
    await bell.close()
    with worker(settings):
        await over(house, job_id)
    assert (await house.job(job_id)).attempt == 1


async def test_a_database_that_is_locked_does_not_stop_training(house: House, database: Database) -> None:
    """A lock held longer than several heartbeats: the job goes on, and nothing is charged."""
    [job_id] = await house.submit(training=LONG)
    with worker(house.settings):
        await at_work(house, job_id)
        async with database.transaction() as session:
            await session.connection()  # BEGIN IMMEDIATE: nobody else can write
            await asyncio.sleep(house.settings.lease_seconds / 2)
        await over(house, job_id)
    assert (await house.job(job_id)).attempt == 1
