"""One sweep: lost jobs back to the queue, doorbells for what waits, the forgotten expired, what is left over removed.

Each part has its own transaction, and one that fails does not keep the others from their work. Several janitors at once
do no harm: every change is a compare-and-swap.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from obstore.exceptions import BaseError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import StillhouseError
from app.db.session import Database
from app.files import orphans
from app.inspections import service as inspections
from app.jobs import blocked, upkeep
from app.limits.turns import Turns
from app.queue import Bell, Kind
from app.retention import service as retention
from app.retention.repository import Rule, rules
from app.settings import Settings
from app.store import Store
from app.uploads.reception import Reception
from app.webhooks import deliveries
from app.workers import service as workers
from worker import folders
from worker.lease import OUTAGES

_HINTS = 32
"""Messages that the janitor keeps in a queue at most: each takes any work, so more help nobody."""
_ORPHANS_EVERY = 600.0
"""Seconds between two looks through the whole store."""

_HEARTBEATS = 2
"""After so many without a renewal a worker whose lease is over is lost."""

log = logging.getLogger(__name__)
Part = Callable[[], Awaitable[int]]


class Janitor:
    """Sweeps for one installation, and the directories of this host."""

    def __init__(self, database: Database, store: Store, settings: Settings, bell: Bell) -> None:
        self._database, self._store, self._settings, self._bell = database, store, settings, bell

    async def sweep(self) -> dict[str, int]:
        """Do every part; return how much each had to do, and -1 for one that failed."""
        return {name: await _attempt(name, part) for name, part in self._parts().items()}

    def _parts(self) -> Mapping[str, Part]:
        settings = self._settings
        return {
            "expired": self._once(lambda session: upkeep.expire_forgotten(session, settings.max_queued_seconds)),
            "unblocked": self._once(blocked.unblock_forgotten),
            "workers": self._once(workers.forget_lost),
            "jobs rung": self._ring("distill", partial(upkeep.ring_again, turns=Turns(settings.limit_running_jobs))),
            "inspections rung": self._ring("inspect", inspections.ring_again),
            "deliveries rung": self._ring("deliver", deliveries.ring_again),
            "job directories": lambda: folders.sweep_jobs(self._database, settings),
            "inspection directories": lambda: folders.sweep_inspections(settings),
            **{f"retention of {rule.kind}": self._remove(rule) for rule in rules(settings)},
            "uploads": Reception(self._database, self._store, settings).sweep,
            "orphans": self._sweep_orphans,
            "lost": self._reap_lost,  # last: it may wait
        }

    async def _reap_lost(self) -> int:
        """Look twice: a worker that lives has renewed its lease in between, whatever the clock says."""
        async with self._database.reading() as session:
            suspects = await upkeep.overdue(session, self._settings.lease_seconds)
        if not suspects:
            return 0
        await asyncio.sleep(_HEARTBEATS * self._settings.heartbeat_seconds)
        return await self._once(lambda session: upkeep.reap_lost(session, suspects))()

    def _once(self, work: Callable[[AsyncSession], Awaitable[int]]) -> Part:
        async def part() -> int:
            async with self._database.transaction() as session:
                return await work(session)

        return part

    def _remove(self, rule: Rule) -> Part:
        return lambda: retention.remove(self._database, rule)

    def _ring(self, kind: Kind, ring: Callable[[AsyncSession, float, int, int], Awaitable[int]]) -> Part:
        seconds = self._settings.ring_again_seconds

        async def part() -> int:
            pending = await self._bell.waiting(kind)
            return await self._once(lambda session: ring(session, seconds, _HINTS, pending))()

        return part

    async def _sweep_orphans(self) -> int:
        if not _due(self._settings.data / "orphans-swept", _ORPHANS_EVERY):
            return 0
        return await orphans.sweep(self._database, self._store, self._settings.orphan_seconds)


def _due(mark: Path, seconds: float) -> bool:
    """Return whether the mark is older than `seconds`, and renew it if so."""
    if mark.exists() and time.time() - mark.stat().st_mtime < seconds:
        return False
    mark.touch()
    return True


async def _attempt(name: str, part: Part) -> int:
    try:
        done = await part()
    except OUTAGES as error:
        log.warning("sweep: %s left out, the database is away: %s", name, str(error).split("\n", 1)[0])
        return -1
    except (SQLAlchemyError, StillhouseError, BaseError, OSError):
        log.exception("sweep: %s failed", name)
        return -1
    if done:
        log.info("sweep: %s: %d", name, done)
    return done
