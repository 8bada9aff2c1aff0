"""Real workers that say that they are there, and that are drained."""

import signal
from pathlib import Path

import pytest

from app.contract.states import JobState
from app.contract.workers import Role, Running, Worker, WorkerState
from app.workers import service
from tests.worker import nvidia
from tests.worker.conftest import House
from tests.worker.training import ENDLESS, LONG, at_work, over
from tests.worker.waiting import eventually
from tests.worker.workers import worker
from worker import errands
from worker.sandbox import walls

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


async def undrain(house: House) -> Worker:
    [one] = await listed(house)
    async with house.database.transaction() as session:
        return await service.undrain(session, one.id, house.settings.lease_seconds)


async def test_a_worker_that_was_drained_takes_jobs_again(house: House) -> None:
    [job_id] = await house.submit(training=LONG)
    with worker(house.settings):
        await at_work(house, job_id)
        await drain(house, "checkpoint")
        await eventually(lambda: stands(house, WorkerState.DRAINED), what="the worker's emptiness")
        assert (await house.job(job_id)).state == JobState.QUEUED
        assert (await undrain(house)).state == WorkerState.READY
        await eventually(lambda: sweep_until_over(house, job_id), seconds=90, what="the end of the job")
    job = await house.job(job_id)
    assert (job.state, job.attempt, job.losses) == (JobState.SUCCEEDED, 2, 0)


async def sweep_until_over(house: House, job_id: str) -> bool:
    await errands.sweep_up(house.settings)
    return await house.is_over(job_id)


async def test_every_role_is_listed_and_gpus_are_told_of(house: House, tmp_path: Path) -> None:
    seen = {"PATH": nvidia.search_path(tmp_path, nvidia.TWO, nvidia.USED), "CUDA_VISIBLE_DEVICES": "1,0"}
    with worker(house.settings, "housekeeping", ready=False), worker(house.settings, ready=False, **seen):
        await eventually(lambda: stands(house, WorkerState.READY, WorkerState.READY), what="both workers' first words")
        distill, housekeeping = sorted(await listed(house), key=lambda one: one.role)
    assert housekeeping.sandbox == distill.sandbox == walls.available()
    assert (housekeeping.role, housekeeping.devices, housekeeping.device_use) == (Role.HOUSEKEEPING, [], [])
    assert (distill.role, distill.devices, distill.slots) == (Role.DISTILL, ["cuda:1", "cuda:0"], 2)
    assert [(use.device, use.utilization) for use in distill.device_use] == [("cuda:1", None), ("cuda:0", 0.97)]


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
