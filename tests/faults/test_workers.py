"""Workers and engines that are killed, frozen and stopped, for real."""

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial

import pytest

from app.contract.states import FailureCode, JobState
from app.settings import Settings
from tests.faults.house import FaultHouse, worker
from tests.worker.training import LONG, at_work, kill_engine, over
from tests.worker.waiting import eventually
from tests.worker.workers import Worker, alive
from worker import errands, supervisor
from worker.devices import Host
from worker.folders import job_folder

pytestmark = pytest.mark.anyio


async def sweep_until_queued(house: FaultHouse, job_id: str) -> bool:
    await errands.sweep_up(house.settings)
    return (await house.job(job_id)).state == JobState.QUEUED


async def gone(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


async def said(running: Worker, words: str) -> bool:
    return words in running.said()


async def trains(house: FaultHouse, job_id: str, attempt: int) -> bool:
    return bool(await house.steps(job_id, attempt=attempt))


def send(number: signal.Signals, *pids: int) -> None:
    for pid in pids:
        os.kill(pid, number)


@pytest.mark.fault(1)
async def test_a_killed_engine_resumes_to_the_same_student(house: FaultHouse) -> None:
    """The student is, to the bit, the one of an undisturbed run."""
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    undisturbed, killed = [await house.submit_on(teacher, data, training=LONG) for _ in range(2)]

    async def distill() -> None:
        await supervisor.distill(house.database, house.store, house.settings, Host(), "test", asyncio.Event())

    await distill()
    running = asyncio.create_task(distill())
    await at_work(house, killed)
    kill_engine(job_folder(house.settings, killed))
    await running
    job = await house.job(killed)
    assert (job.state, job.losses) == (JobState.QUEUED, 1)
    await distill()
    assert await house.steps(killed, "resumed", attempt=2)
    students = [(await house.artifacts(job_id))["student"].sha256 for job_id in (undisturbed, killed)]
    assert students[0] == students[1]


def kill_main(running: Worker) -> None:
    running.kill()


def kill_tree(running: Worker) -> None:
    send(signal.SIGKILL, *running.processes())


@pytest.mark.parametrize(
    "kill", [pytest.param(kill_main, marks=pytest.mark.fault(2)), pytest.param(kill_tree, marks=pytest.mark.fault(3))]
)
async def test_a_killed_worker_leaves_no_orphan_and_another_finishes(
    house: FaultHouse, kill: Callable[[Worker], None]
) -> None:
    [job_id] = await house.simulated(steps=40)
    with worker(house.settings) as first:
        await at_work(house, job_id)
        tree = first.processes()
        assert len(tree) == 4  # main process, slot, its fork server, engine
        kill(first)
        await eventually(lambda: gone(tree), seconds=10, what="the end of slot and engine")
    await eventually(lambda: sweep_until_queued(house, job_id), seconds=20, what="the lease's end")
    with worker(house.settings):
        await over(house, job_id)
    job = await house.job(job_id)
    assert (job.attempt, job.losses) == (2, 1)
    assert await house.steps(job_id, "resumed", attempt=2)


@pytest.mark.fault(4)
async def test_a_frozen_worker_finds_its_job_gone(house: FaultHouse) -> None:
    [job_id] = await house.simulated(steps=10_000)
    with worker(house.settings) as frozen:
        await at_work(house, job_id)
        tree, [engine] = [frozen.main.pid, *frozen.slots()], frozen.engines()
        async with house.database.transaction() as session:
            await session.connection()  # holds SQLite's one write lock, so that no frozen process does
            send(signal.SIGSTOP, *tree)
        await eventually(lambda: sweep_until_queued(house, job_id), seconds=20, what="the lease's end")
        with worker(house.settings) as second:
            await eventually(lambda: said(second, f"killed [{engine}]"), what="the end of the stale engine")
            await eventually(lambda: trains(house, job_id, attempt=2), what="the second attempt's training")
            send(signal.SIGCONT, *tree)
            await eventually(lambda: said(frozen, "the attempt is over"), what="the end of the stale attempt")
            assert not alive(engine)
            await house.cancel(job_id)
            await eventually(lambda: house.is_over(job_id), what="the end of the job")
    job = await house.job(job_id)
    assert (job.attempt, job.state) == (2, JobState.CANCELLED)


@pytest.mark.fault(5)
async def test_a_stopped_worker_gives_its_job_back_uncharged(house: FaultHouse) -> None:
    [job_id] = await house.submit(training=LONG, max_attempts=1)
    with worker(house.settings) as first:
        await at_work(house, job_id)
        first.kill(signal.SIGTERM)
        assert first.ended(house.settings.stop_grace_seconds) == 0
    job = await house.job(job_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 0)
    saved = (await house.steps(job_id, "checkpoint"))[-1]
    with worker(house.settings):
        await over(house, job_id)
    assert await house.steps(job_id, "resumed") == [saved]


@pytest.fixture
def hasty(house: FaultHouse) -> Settings:
    return house.settings.model_copy(update={"stop_grace_seconds": 0.5})


@pytest.mark.fault(6)
async def test_an_engine_that_does_not_stop_in_time_goes_back_to_the_checkpoint_before(
    house: FaultHouse, hasty: Settings
) -> None:
    [job_id] = await house.simulated(steps=40, max_attempts=1, labels={"deaf": "yes"})
    with worker(hasty) as first:
        await at_work(house, job_id)
        first.kill(signal.SIGTERM)
        assert first.ended() == 0
    job = await house.job(job_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 0)
    await resumes_where_it_was(house, job_id)


@pytest.mark.fault(6)
async def test_a_worker_that_its_service_manager_kills_after_the_grace(house: FaultHouse) -> None:
    [job_id] = await house.simulated(steps=60, labels={"deaf": "yes"})
    with worker(house.settings) as first:
        await at_work(house, job_id)
        first.kill(signal.SIGTERM)
        await asyncio.sleep(0.5)
        tree = first.processes()
        send(signal.SIGKILL, *tree)
        await eventually(lambda: gone(tree), seconds=10, what="the end of the tree")
    await eventually(lambda: sweep_until_queued(house, job_id), seconds=20, what="the lease's end")
    assert (await house.job(job_id)).losses == 1
    await resumes_where_it_was(house, job_id)


async def resumes_where_it_was(house: FaultHouse, job_id: str) -> None:
    """See a job through; it goes on from one of its last two checkpoints, not from the beginning."""
    saved = (await house.steps(job_id, "checkpoint"))[-1]
    with worker(house.settings):
        await over(house, job_id)
    [resumed] = await house.steps(job_id, "resumed")
    assert resumed >= saved > 0  # it may have written more than was carried to the database


@pytest.mark.fault(26)
async def test_a_poison_job_fails_in_the_end_and_the_others_go_on(house: FaultHouse) -> None:
    """Its supervisor is killed whenever it trains, as by a kernel that runs out of memory for it."""
    [poison] = await house.simulated(steps=10_000, max_attempts=3, priority=5)
    others = await house.simulated(3, steps=3)
    with worker(house.settings), worker(house.settings, "housekeeping"):
        for attempt in (1, 2, 3):
            await eventually(partial(trains, house, poison, attempt), seconds=60, what=f"attempt {attempt}")
            send(signal.SIGKILL, int(((await house.job(poison)).worker or "").rsplit("/", 1)[1]))
        for job_id in (*others, poison):
            await eventually(partial(house.is_over, job_id), seconds=60, what=f"the end of {job_id}")
    job = await house.job(poison)
    assert (job.state, job.failure_code, job.losses) == (JobState.FAILED, FailureCode.WORKER_LOST, 3)
    assert {(await house.job(job_id)).state for job_id in others} == {JobState.SUCCEEDED}
