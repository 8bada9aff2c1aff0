"""The database goes away, is locked, or its clock jumps; jobs are neither lost nor charged for it."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.faults.house import FaultHouse, worker
from tests.worker.training import at_work, over

pytestmark = pytest.mark.anyio
BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


async def lock(session: AsyncSession) -> None:
    """Keep everybody else from writing until the transaction ends."""
    connection = await session.connection()  # on SQLite that is BEGIN IMMEDIATE
    if connection.dialect.name == "postgresql":
        await session.execute(text("LOCK TABLE jobs, job_events, job_logs IN EXCLUSIVE MODE"))


@pytest.mark.fault(14)
@BOTH
async def test_a_lock_held_for_two_thirds_of_a_lease_costs_no_lease(house: FaultHouse) -> None:
    """Heartbeats, events and the janitor all wait; then everything goes on, nothing is charged."""
    house.settings = house.settings.model_copy(update={"slots": 2, "lease_seconds": 6})
    jobs = await house.simulated(2, steps=60)
    with worker(house.settings), worker(house.settings, "housekeeping"):
        for job_id in jobs:
            await at_work(house, job_id)
        async with house.database.transaction() as session:
            await lock(session)
            await asyncio.sleep(house.settings.lease_seconds * 2 / 3)
        for job_id in jobs:
            await over(house, job_id)
    assert {(job.attempt, job.losses) for job in [await house.job(job_id) for job_id in jobs]} == {(1, 0)}
