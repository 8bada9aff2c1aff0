"""Claims, leases and fences, on both databases."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.devices import Devices
from app.contract.events import Notice
from app.contract.states import FailureCode, JobState, StopReason
from app.db.session import create_engine
from app.jobs import leases, upkeep
from app.jobs.leases import Lease, LeaseLost
from tests.worker.conftest import House

pytestmark = pytest.mark.anyio


async def claim(house: House, worker: str = "first", seconds: float = 60) -> Lease:
    lease = await attempt_claim(house, worker, seconds)
    assert lease
    return lease


async def attempt_claim(
    house: House, worker: str, seconds: float = 60, room: leases.Room | None = None
) -> Lease | None:
    async with house.database.transaction() as session:
        return await leases.claim(session, worker, seconds, room=room)


@dataclass
class Place:
    """The devices of a host, some of them in use."""

    most: Devices
    free: int

    def take(self, devices: int) -> bool:
        return devices <= self.free


async def reap(house: House) -> int:
    async with house.database.transaction() as session:
        return await upkeep.reap_lost(session, await upkeep.overdue(session, 60))


async def test_many_claims_at_once_have_one_winner_each(house: House) -> None:
    ids = await house.submit(4)
    claimed = await asyncio.gather(*(attempt_claim(house, f"worker-{number}") for number in range(12)))
    won = [lease.job_id for lease in claimed if lease]
    assert len(won) == len(set(won))
    while left := await attempt_claim(house, "straggler"):  # one that lost every race leaves the rest to the others
        won.append(left.job_id)
    assert sorted(won) == sorted(ids)


async def test_jobs_of_higher_priority_are_taken_first(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    ordinary, urgent = await house.submit_on(teacher, data), await house.submit_on(teacher, data, priority=5)
    assert [(await claim(house)).job_id, (await claim(house)).job_id] == [urgent, ordinary]


async def test_a_job_of_several_devices_waits_for_them_and_no_younger_one_overtakes_it(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    wide, narrow = await house.submit_on(teacher, data, devices=4), await house.submit_on(teacher, data)
    assert await attempt_claim(house, "busy", room=Place(Devices(4, 4), free=3)) is None
    urgent = await house.submit_on(teacher, data, priority=1)
    large, small = Place(Devices(4, 4), free=3), Place(Devices(2, 2), free=2)
    taken = [await attempt_claim(house, "any", room=room) for room in (large, large, small, small)]
    assert [lease and lease.job_id for lease in taken] == [urgent, None, narrow, None]
    found = await attempt_claim(house, "all free", room=Place(Devices(4, 4), free=4))
    assert found
    assert found.job_id == wide


async def test_a_job_that_insists_on_cuda_is_left_to_those_who_have_it(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    insists = await house.submit_on(teacher, data, device="cuda")
    behind = [await house.submit_on(teacher, data, device=device) for device in ("cpu", "auto")]
    without, with_cuda = (Place(Devices.of_worker(named), free=1) for named in (["cpu"], ["cuda:0"]))
    taken = [await attempt_claim(house, "any", room=room) for room in (without, without, without, with_cuda)]
    assert [lease and lease.job_id for lease in taken] == [*behind, None, insists]


async def test_a_job_waits_for_its_inspections(house: House) -> None:
    await house.submit_on(await house.model(), await house.dataset())
    assert await attempt_claim(house, "early") is None
    await house.pass_inspections()
    assert await attempt_claim(house, "late")


Write = Callable[[AsyncSession, Lease], Awaitable[object]]
WRITES: dict[str, Write] = {
    "heartbeat": lambda session, lease: leases.renew(session, lease, 60),
    "events": lambda session, lease: leases.record(session, lease, [Notice(text="late")], "late"),
    "state": lambda session, lease: leases.advance(session, lease, JobState.RUNNING),
    "finish": lambda session, lease: leases.finish(
        session, lease, StopReason.COMPLETED, [leases.artifact(lease, "student", "s", 1, "0" * 64, "x/y")]
    ),
    "failure": lambda session, lease: leases.fail(session, lease, FailureCode.INTERNAL_ERROR, "late"),
    "return": leases.give_back,
    "crash": lambda session, lease: leases.crash(session, lease, "late"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_stale_worker_writes_nothing(house: House, write: Write) -> None:
    [job_id] = await house.submit()
    stale = await claim(house, seconds=-1)
    assert await reap(house) == 1
    current = await claim(house, "second")
    before = await house.job(job_id), len(await house.events(job_id))
    with pytest.raises(LeaseLost):
        async with house.database.transaction() as session:
            await write(session, stale)
    job = await house.job(job_id)
    assert (job.attempt, job.worker, job.state, job.version) == (
        current.attempt, "second", before[0].state, before[0].version,
    )  # fmt: skip
    assert len(await house.events(job_id)) == before[1]
    assert not await house.artifacts(job_id)
    assert await house.log(job_id) == ""


async def test_a_heartbeat_keeps_the_lease(house: House) -> None:
    await house.submit()
    lease = await claim(house, seconds=-1)
    async with house.database.transaction() as session:
        await leases.renew(session, lease, 60)
    assert await reap(house) == 0


async def suspects(house: House) -> dict[str, datetime]:
    async with house.database.reading() as session:
        return await upkeep.overdue(session, 3)


async def test_a_suspect_that_renews_keeps_its_job(house: House) -> None:
    [job_id] = await house.submit()
    lease = await claim(house, seconds=-1)
    seen = await suspects(house)
    assert seen.keys() == {job_id}
    async with house.database.transaction() as session:
        await leases.renew(session, lease, -0.5)  # alive, by whatever clock
        assert await upkeep.reap_lost(session, seen) == 0


async def test_a_lease_from_a_clock_that_was_set_back_is_suspect(house: House) -> None:
    [job_id] = await house.submit()
    await claim(house, seconds=3600)
    seen = await suspects(house)
    async with house.database.transaction() as session:
        assert await upkeep.reap_lost(session, seen) == 1
    assert (await house.job(job_id)).state == JobState.QUEUED


async def test_a_job_that_loses_its_workers_fails_in_the_end(house: House) -> None:
    [job_id] = await house.submit(max_attempts=2)
    await claim(house, "first", seconds=-1)
    await reap(house)
    assert (await house.job(job_id)).state == JobState.QUEUED
    await claim(house, "second", seconds=-1)
    await reap(house)
    job = await house.job(job_id)
    assert (job.state, job.failure_code, job.losses) == (JobState.FAILED, FailureCode.WORKER_LOST, 2)
    assert await reap(house) == 0


async def test_returns_are_not_charged(house: House) -> None:
    [job_id] = await house.submit(max_attempts=1)
    for _ in range(3):
        lease = await claim(house)
        async with house.database.transaction() as session:
            assert await leases.give_back(session, lease) is JobState.QUEUED
    job = await house.job(job_id)
    assert (job.state, job.attempt, job.losses) == (JobState.QUEUED, 3, 0)


async def test_a_queued_job_is_cancelled_at_once(house: House) -> None:
    [job_id] = await house.submit()
    await house.cancel(job_id)
    assert (await house.job(job_id)).state == JobState.CANCELLED
    assert await attempt_claim(house, "late") is None


async def expire(house: House, seconds: float = 3600) -> None:
    async with house.database.transaction() as session:
        await upkeep.expire_forgotten(session, seconds)


async def test_a_job_waits_no_longer_than_it_says(house: House) -> None:
    hasty, patient = await house.submit(max_pending=0.001), await house.submit(max_pending=3600)
    await asyncio.sleep(0.01)
    assert (await claim(house)).job_id == patient[0]  # a job that has waited too long is not begun any more
    await expire(house)
    assert (await house.job(hasty[0])).state == JobState.EXPIRED
    assert (await house.events(hasty[0]))[-1].type == "job.terminal"
    assert (await house.job(patient[0])).expires_at is None


async def test_waiting_is_counted_each_time_anew(house: House) -> None:
    [job_id] = await house.submit(max_pending=3600)
    first = (await house.job(job_id)).expires_at
    lease = await claim(house)
    async with house.database.transaction() as session:
        await leases.give_back(session, lease)
    second = (await house.job(job_id)).expires_at
    assert first
    assert second
    assert second > first
    await house.pause(job_id)
    assert (await house.job(job_id)).expires_at is None  # a pause has no end
    await expire(house, seconds=-1)
    assert (await house.job(job_id)).state == JobState.PAUSED
    await house.resume(job_id)
    await expire(house, seconds=-1)
    assert (await house.job(job_id)).state == JobState.EXPIRED


async def test_a_cancelled_job_whose_worker_is_lost_is_cancelled(house: House) -> None:
    [job_id] = await house.submit()
    await claim(house, seconds=-1)
    await house.cancel(job_id)
    await reap(house)
    assert (await house.job(job_id)).state == JobState.CANCELLED


async def test_the_history_has_no_gap(house: House) -> None:
    [job_id] = await house.submit()
    lease = await claim(house)

    async def report(number: int) -> None:
        async with house.database.transaction() as session:
            await leases.record(session, lease, [Notice(text=f"{number}.{part}") for part in range(3)])

    await asyncio.gather(*(report(number) for number in range(6)), house.cancel(job_id))
    async with house.database.transaction() as session:
        await leases.give_back(session, lease)
    events = await house.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert len([event for event in events if event.type == "notice"]) == 18
    assert events[-1].type == "job.terminal"


async def test_a_frozen_process_cannot_hold_a_row_for_ever(postgresql_url: str) -> None:
    """PostgreSQL is told to end transactions that stand idle; SQLite has no such thing, and serves one host."""
    engine = create_engine(postgresql_url)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SHOW idle_in_transaction_session_timeout"))).scalar() == "30s"
    await engine.dispose()
