"""Real workers that say that they are there, and that are drained."""

import signal

import pytest

from app.contract.states import JobState
from app.contract.workers import Running, Worker, WorkerState
from app.workers import service
from tests.worker.conftest import House
from tests.worker.training import ENDLESS, LONG, at_work, over
from tests.worker.waiting import eventually
from tests.worker.workers import worker

pytestmark = pytest.mark.anyio


async def listed(house: House) -> list[Worker]:
    async with house.database.reading() as session:
        return await service.listed(session, house.settings.lease_seconds)


async def stands(house: House, *states: WorkerState) -> bool:
    return [one.state for one in await listed(house)] == list(states)


async def drain(house: House, running: Running = "finish") -> Worker:
    [one] = await listed(house)
    async with house.database.transaction() as session:
        return await service.drain(session, one.id, running, house.settings.lease_seconds)


async def test_a_drained_worker_finishes_its_job_and_takes_no_more(house: House) -> None:
    """Not even where its slot is free and the bell rings."""
    at_hand, left = await house.submit(2, training=LONG)
    with worker(house.settings) as running:
        await at_work(house, at_hand)
        [one] = await listed(house)
        assert (one.state, one.devices, one.slots, one.jobs) == (WorkerState.READY, ["cpu"], 1, [at_hand])
        assert one.name in ((await house.job(at_hand)).worker or "")
        assert (await drain(house)).state == WorkerState.DRAINING
        await over(house, at_hand)
        await eventually(lambda: stands(house, WorkerState.DRAINED), what="the worker's emptiness")
        assert (await house.job(left)).attempt == 0
        running.kill(signal.SIGTERM)
        assert running.ended(house.settings.stop_grace_seconds) == 0
    assert await listed(house) == []
    with worker(house.settings):  # another one is not concerned
        await over(house, left)


async def test_a_worker_gives_its_jobs_back_from_a_checkpoint(house: House) -> None:
    [job_id] = await house.submit(training=ENDLESS, max_attempts=1)
    with worker(house.settings):
        await at_work(house, job_id)
        await drain(house)
        await drain(house, "checkpoint")
        await eventually(lambda: stands(house, WorkerState.DRAINED), what="the worker's emptiness")
        assert (await drain(house)).state == WorkerState.DRAINED
        job = await house.job(job_id)
        assert (job.state, job.attempt, job.losses) == (JobState.QUEUED, 1, 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_killed_worker_is_lost(house: House) -> None:
    with worker(house.settings) as running:
        await eventually(lambda: stands(house, WorkerState.READY), what="the worker's first word")
        running.kill()
        await eventually(lambda: stands(house, WorkerState.LOST), what="the loss of the worker")
