"""Holding on to a job: heartbeats, and writes that outlast a database that is away for a while.

The lease counts from the last renewal that went through, on this host's monotonic clock, from before it was sent: it is
never thought to be longer than the database thinks. Once it has run out the child is asked to stop, so that it leaves a
checkpoint; what is written after that still goes through only if nobody else has got the job.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.states import JobState
from app.db.session import Database
from app.jobs import leases
from app.jobs.gate import ChangedMeanwhile
from app.jobs.leases import Lease, LeaseLost
from app.settings import Settings
from worker.waiting import happens

OUTAGES = (OperationalError, InterfaceError, PoolTimeout)
"""The database is away, or locked: try again."""
_WISHES = {JobState.CANCELLING, JobState.PAUSING}
_BETWEEN_TRIES = 0.5

log = logging.getLogger(__name__)
T = TypeVar("T")


class HeldLease:
    """The lease of one job, from its claim to its end."""

    def __init__(self, database: Database, lease: Lease, settings: Settings, claimed_at: float) -> None:
        self.lease = lease
        self._database = database
        self._seconds = settings.lease_seconds
        self._beat = settings.heartbeat_seconds
        self.cancelled = False
        """Whether a user wants the job to end for good."""
        self._until = claimed_at + settings.lease_seconds
        self._ending = False

    def ran_out(self) -> bool:
        return monotonic() >= self._until

    async def keep(self, stop: asyncio.Event, over: asyncio.Event) -> None:
        """Renew until `over`; set `stop` when a user wants the job to end. Raises LeaseLost."""
        while not await happens(over, self._beat):
            try:
                state = await self._renew()
            except OUTAGES as error:
                log.warning("no heartbeat, the database is away: %s", _first_line(error))
                continue
            except LeaseLost:
                if self._ending:
                    return
                raise
            self.cancelled = state is JobState.CANCELLING
            if state in _WISHES:
                stop.set()

    async def _renew(self) -> JobState:
        asked = monotonic()
        async with self._database.transaction() as session:
            state = await leases.renew(session, self.lease, self._seconds)
        self._until = asked + self._seconds
        return state

    async def watch(self, stop: asyncio.Event, over: asyncio.Event) -> None:
        """Set `stop` once the lease has run out unrenewed. Apart from `keep`: a renewal may hang."""
        while not self.ran_out():
            if await happens(over, max(0.01, self._until - monotonic())):
                return
        log.warning("the lease ran out while the database was away")
        stop.set()

    async def attempt(self, operation: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run one transaction, again where somebody else changed the job at the same moment."""
        while True:
            try:
                async with self._database.transaction() as session:
                    return await operation(session)
            except ChangedMeanwhile:
                continue

    async def end(self, operation: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run the transaction that ends this worker's part. Heartbeats go on until then; the last may come too late."""
        self._ending = True
        return await self.write(operation)

    async def write(self, operation: Callable[[AsyncSession], Awaitable[T]]) -> T:
        """Run a transaction, trying again while the database is away and the lease lasts."""
        while True:
            try:
                return await self.attempt(operation)
            except OUTAGES as error:
                if self.ran_out():
                    raise
                log.warning("the database is away: %s", _first_line(error))
                await asyncio.sleep(_BETWEEN_TRIES)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
