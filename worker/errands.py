"""What a task needs for one piece of work: settings from the environment, its own database connection and store."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.db.session import Database
from app.jobs import upkeep
from app.limits.turns import Turns
from app.queue import Bell
from app.settings import Settings
from app.store import Store
from worker import devices, inspector, postman, supervisor
from worker.drain import Drain
from worker.janitor import Janitor
from worker.lease import OUTAGES
from worker.shutdown import Shutdown

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class House:
    """The open connections of one task."""

    settings: Settings
    bell: Bell
    database: Database
    store: Store


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    bell = Bell(settings.broker_url)
    database = Database(settings.database, bell)
    try:
        yield House(settings, bell, database, Store(settings))
    finally:
        await database.close()
        await bell.close()


async def distill(settings: Settings, worker: str, shutdown: Shutdown, drain: Drain) -> str | None:
    """Take one job and see it through; return its id, None where nothing was due, no device free, or none wanted."""
    stop = asyncio.Event()
    with shutdown.sets(stop), drain.checkpoint.sets(stop):
        if shutdown.announced() or drain.begun.announced():
            return None
        async with open_house(settings) as house:
            with devices.host(settings) as host:
                job = await supervisor.distill(house.database, house.store, settings, host, worker, stop)
            if job:
                await _ring_for_next(house, job, host.slot.processes if host.slot and not stop.is_set() else 0)
            return job


async def _ring_for_next(house: House, job: str, devices_free: int) -> None:
    """Ring for those who waited for this job's end: whoever found no device free for them has dropped his hint."""
    turns, pending = Turns(house.settings.limit_running_jobs), await house.bell.waiting("distill")
    try:
        async with house.database.transaction() as session:
            await upkeep.ring_again(session, 0.0, devices_free, pending, turns)
    except OUTAGES as error:
        log.warning("the janitor will ring for those that waited for job %s: %s", job, error)


async def inspect(settings: Settings, shutdown: Shutdown) -> int:
    """Inspect whatever is due; return how many."""
    stop = asyncio.Event()
    with shutdown.sets(stop):
        async with open_house(settings) as house:
            return await inspector.inspect(house.database, house.store, settings, stop)


async def deliver(settings: Settings, shutdown: Shutdown) -> int:
    """Send what is due to webhooks; return how many tries were made."""
    stop = asyncio.Event()
    with shutdown.sets(stop):
        async with open_house(settings) as house:
            return await postman.deliver(house.database, settings, stop)


async def sweep_up(settings: Settings) -> dict[str, int]:
    """Do the janitor's work once."""
    async with open_house(settings) as house:
        return await Janitor(house.database, house.store, settings, house.bell).sweep()
