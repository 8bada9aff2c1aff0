"""How many jobs of an account run at once, and whose turn it is, on both databases."""

import asyncio
from dataclasses import replace

import pytest

from app.contract.states import FailureCode, JobState
from app.db.base import new_id
from app.db.tables import Account
from app.jobs import leases, upkeep
from app.jobs.leases import Lease
from app.limits.turns import FREE, Turns
from tests.worker.conftest import House

pytestmark = pytest.mark.anyio


async def another(house: House, **limits: float) -> House:
    """Return the house as another account has it."""
    account = Account(id=new_id("tnt"), name="other", limits=limits)
    async with house.database.transaction() as session:
        session.add(account)
    return replace(house, tenant=account.id)


async def claim(house: House, turns: Turns = FREE) -> Lease | None:
    async with house.database.transaction() as session:
        return await leases.claim(session, "worker", 60, turns)


async def give_back(house: House, lease: Lease) -> None:
    async with house.database.transaction() as session:
        await leases.give_back(session, lease)


async def test_claims_at_once_take_no_more_than_may_run(house: House) -> None:
    other = await another(house, running_jobs=0)
    limited, free = await house.submit(6), await other.submit(2)
    claimed = [lease.job_id for lease in await asyncio.gather(*(claim(house, Turns(2)) for _ in range(10))) if lease]
    while lease := await claim(house, Turns(2)):  # one that lost every race leaves the rest to the others
        claimed.append(lease.job_id)
    assert len(set(claimed)) == len(claimed) == 4
    assert set(free) < set(claimed)
    assert len(set(claimed) & set(limited)) == 2


async def test_an_accounts_own_limit_goes_before_the_general_one(house: House) -> None:
    more, none = await another(house, running_jobs=2), await another(house, running_jobs=0)
    for one in (house, more, none):
        await one.submit(3)
    taken = []
    while lease := await claim(house, Turns(1)):
        taken.append(lease.tenant_id)
    assert {one.tenant: taken.count(one.tenant) for one in (house, more, none)} == {
        house.tenant: 1, more.tenant: 2, none.tenant: 3,
    }  # fmt: skip


async def test_a_long_queue_holds_up_nobody_else(house: House) -> None:
    long = await house.submit(5)
    other = await another(house)
    short = await other.submit(2)
    first, second, third = await claim(house), await claim(house), await claim(house)
    assert first
    assert second
    assert third
    assert [first.job_id, second.job_id, third.job_id] == [long[0], short[0], long[1]]
    for lease in (first, third):  # nobody runs anything but the other
        await give_back(house, lease)
    fourth = await claim(house)
    assert fourth
    assert fourth.tenant_id == house.tenant  # fewer of its jobs are running
    await give_back(house, second)
    await give_back(house, fourth)
    turns = []
    for _ in range(4):  # a single worker
        lease = await claim(house)
        assert lease
        turns.append(lease.tenant_id)
        await give_back(house, lease)
    assert turns == [other.tenant, house.tenant] * 2


async def test_priority_goes_before_turns(house: House) -> None:
    other = await another(house)
    await other.submit(1)
    urgent = await house.submit(2, priority=5)
    assert [lease.job_id for lease in (await claim(house), await claim(house)) if lease] == urgent


async def test_nobody_is_called_for_a_job_that_waits_for_another_of_its_account(house: House) -> None:
    await house.submit(2)
    first = await claim(house, Turns(1))
    assert first
    async with house.database.transaction() as session:
        assert await upkeep.ring_again(session, -1, 10, 0, Turns(1)) == 0
        await leases.advance(session, first, JobState.RUNNING)
        await leases.fail(session, first, FailureCode.INTERNAL_ERROR, "over")
        assert await upkeep.ring_again(session, -1, 10, 0, Turns(1)) == 1
    assert await claim(house, Turns(1))
