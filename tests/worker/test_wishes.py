"""Pause, resume and retry, as the worker meets them: on both databases, and with the real engine."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.contract.errors import Conflict
from app.contract.resources import JobChange
from app.contract.states import FailureCode, JobState
from app.db.base import DEFAULT_TENANT
from app.jobs import leases
from app.jobs import service as jobs
from tests.worker.conftest import House
from tests.worker.test_claims import attempt_claim, claim, reap
from tests.worker.training import LONG, at_work, kill_engine
from worker import errands, supervisor
from worker.devices import Host
from worker.folders import job_folder

pytestmark = pytest.mark.anyio


async def distill(house: House) -> None:
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", asyncio.Event())


async def test_a_paused_job_goes_on_to_the_same_student(house: House) -> None:
    """The student is, to the bit, the one of an undisturbed run."""
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    undisturbed, paused = [await house.submit_on(teacher, data, training=LONG, max_attempts=1) for _ in range(2)]
    await distill(house)
    running = asyncio.create_task(distill(house))
    await at_work(house, paused)
    await house.pause(paused)
    assert (await house.job(paused)).state == JobState.PAUSING
    await running
    job = await house.job(paused)
    assert (job.state, job.losses, job.lease_until, job.worker) == (JobState.PAUSED, 0, None, None)
    assert list((job_folder(house.settings, paused) / "checkpoints").glob("*.safetensors"))
    await house.resume(paused)
    await distill(house)
    job = await house.job(paused)
    assert (job.state, job.attempt, job.losses) == (JobState.SUCCEEDED, 2, 0)
    assert any(event.type == "resumed" for event in await house.events(paused))
    students = [(await house.artifacts(job_id))["student"].sha256 for job_id in (undisturbed, paused)]
    assert students[0] == students[1]


async def test_a_queued_job_is_paused_at_once(house: House) -> None:
    [job_id] = await house.submit()
    for _ in range(2):
        await house.pause(job_id)
    assert (await house.job(job_id)).state == JobState.PAUSED
    assert await attempt_claim(house, "early") is None
    for _ in range(2):
        await house.resume(job_id)
    assert (await house.job(job_id)).state == JobState.QUEUED
    assert (await claim(house)).job_id == job_id
    history = [event.data.get("to") for event in await house.events(job_id)]
    assert history == ["queued", "paused", "queued", "starting"]


async def test_a_job_is_paused_before_its_inspection_and_resumed_after_it(house: House) -> None:
    job_id = await house.submit_on(await house.model(), await house.dataset())
    await house.pause(job_id)
    await house.pass_inspections()
    await house.resume(job_id)
    assert (await house.job(job_id)).blocked_by is None
    assert (await claim(house)).job_id == job_id


async def test_the_last_wish_counts(house: House) -> None:
    [job_id] = await house.submit(max_attempts=1)
    for resumed, end in ((True, JobState.QUEUED), (False, JobState.PAUSED)):
        await claim(house, seconds=-1)
        await house.pause(job_id)
        await house.resume(job_id)
        if not resumed:
            await house.pause(job_id)
        await reap(house)  # the worker was lost meanwhile, which a job that was to pause survives
        assert (await house.job(job_id)).state == end


async def test_what_is_over_or_being_cancelled_neither_pauses_nor_resumes(house: House) -> None:
    [job_id] = await house.submit()
    await claim(house, seconds=-1)
    await house.cancel(job_id)
    for _ in range(2):
        for wish in (house.pause, house.resume):
            with pytest.raises(Conflict, match="cancel"):
                await wish(job_id)
        await reap(house)


async def crash_for_good(house: House, job_id: str) -> None:
    running = asyncio.create_task(distill(house))
    await at_work(house, job_id)
    kill_engine(job_folder(house.settings, job_id))
    await running
    job = await house.job(job_id)
    assert (job.state, job.failure_code) == (JobState.FAILED, FailureCode.ENGINE_CRASHED)


@pytest.mark.parametrize(("wish", "state"), [(House.cancel, "cancelling"), (House.pause, "pausing")])
async def test_a_wish_at_the_moment_of_a_claim_is_not_refused(
    house: House, wish: Callable[[House, str], Awaitable[None]], state: str
) -> None:
    [job_id] = await house.submit()
    async with house.database.transaction() as session:
        assert await leases.claim(session, "worker", 60)
        asked = asyncio.create_task(wish(house, job_id))
        await asyncio.sleep(0.2)  # it has read the job as it was, and waits for this transaction
        assert not asked.done()
    await asked
    assert (await house.job(job_id)).state == state


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_retry_goes_on_from_the_checkpoint_of_what_failed(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    undisturbed, failed = [await house.submit_on(teacher, data, training=LONG, max_attempts=1) for _ in range(2)]
    await distill(house)
    await crash_for_good(house, failed)
    await errands.sweep_up(house.settings)
    assert {entry.name for entry in job_folder(house.settings, failed).iterdir()} <= {"cache", "checkpoints"}
    again = await house.retry(failed)
    await crash_for_good(house, again)
    last = await house.retry(again)
    await distill(house)
    for job_id in (again, last):
        events = await house.events(job_id)
        assert any(event.type == "resumed" for event in events)
        told = [event.data["text"] for event in events if event.type == "notice"]
        assert all(text.startswith("Attempt 1 is over: ") for text in told)
    students = [(await house.artifacts(job_id))["student"].sha256 for job_id in (undisturbed, last)]
    assert students[0] == students[1]
    assert not any((house.settings.data / "jobs").iterdir())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_retry_without_a_checkpoint_says_so(house: House) -> None:
    [job_id] = await house.submit()
    await house.cancel(job_id)
    again = await house.retry(job_id)
    await distill(house)
    assert (await house.job(again)).state == JobState.SUCCEEDED
    told = [event.data["text"] for event in await house.events(again) if event.type == "notice"]
    assert told == [f"the retry of {job_id} starts from the beginning: no checkpoint on this host"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_a_failed_job_had_learnt_is_not_kept_for_ever(house: House) -> None:
    [job_id] = await house.submit(training=LONG, max_attempts=1)
    await crash_for_good(house, job_id)
    await errands.sweep_up(house.settings)
    assert job_folder(house.settings, job_id).exists()
    for pinned in (True, False):
        async with house.database.transaction() as session:
            await jobs.change(session, DEFAULT_TENANT, job_id, JobChange(pinned=pinned), None)
        await errands.sweep_up(house.settings.model_copy(update={"failed_seconds": 0}))
        assert job_folder(house.settings, job_id).exists() == pinned
