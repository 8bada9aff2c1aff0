"""What the janitor does to jobs: give lost ones back to the queue, ring for those that wait, expire the forgotten."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.states import FailureCode, JobState
from app.db.session import doorbells
from app.db.tables import Job
from app.jobs.gate import ChangedMeanwhile, transition
from app.jobs.leases import lay_down
from app.jobs.repository import JobRepository
from app.limits.turns import FREE, Turns
from app.queue import Doorbell

_LONGEST = 10
"""Leases that end later than so many from now were given by another clock."""

log = logging.getLogger(__name__)


async def overdue(session: AsyncSession, seconds: float) -> dict[str, datetime]:
    """Return the jobs whose lease of `seconds` is over by the database's clock, each with the lease's end.

    Also those whose lease ends later than any can that was given by the clock as it is now: it was set back.
    """
    found = await JobRepository(session).leases_outside(_LONGEST * seconds)
    return {job.id: job.lease_until for job in found if job.lease_until}


async def reap_lost(session: AsyncSession, suspects: Mapping[str, datetime]) -> int:
    """Take those suspects from their workers that have not renewed since; charge the loss; fail the worn out.

    Suspects are jobs that were `overdue` a few heartbeats ago. A lease that is over is not enough: where the clock
    jumped, or the database was away or locked for a while, all of them are over at once, and their workers live.
    """
    lost = [job for job in await JobRepository(session).leased_among(suspects) if job.lease_until == suspects[job.id]]
    for job in lost:
        log.warning("job %s lost its worker %s in attempt %d", job.id, job.worker, job.attempt)
        try:
            await _take_from_worker(session, job)
        except ChangedMeanwhile:
            continue
    return len(lost)


async def _take_from_worker(session: AsyncSession, job: Job) -> None:
    losses = job.losses + 1
    worn_out = losses >= job.max_attempts and job.state not in {JobState.CANCELLING, JobState.PAUSING}
    if worn_out:
        detail = f"the worker was lost {losses} times (max_attempts); its log may say why"
        code = FailureCode.WORKER_LOST.value
        await transition(session, job, JobState.FAILED, losses=losses, failure_code=code, failure_detail=detail)
        return
    await lay_down(session, job, losses=losses)
    doorbells(session).append(Doorbell("distill", job.id))


async def ring_again(session: AsyncSession, seconds: float, limit: int, pending: int, turns: Turns = FREE) -> int:
    """Ring for the first `limit` jobs that wait longer than `seconds`: their doorbells may have been lost.

    Whoever hears a ring takes any job: those `pending` in the broker still serve for as many.
    """
    waiting = (await JobRepository(session).claimable_since(seconds, limit, turns))[pending:]
    doorbells(session).extend(Doorbell("distill", job.id) for job in waiting)
    return len(waiting)


async def expire_forgotten(session: AsyncSession, seconds: float) -> int:
    """End jobs that nobody took for `seconds`, or for as long as they say themselves."""
    forgotten = await JobRepository(session).queued_too_long(seconds)
    for job in forgotten:
        with suppress(ChangedMeanwhile):  # somebody has just taken it, or paused it
            await transition(session, job, JobState.EXPIRED)
    return len(forgotten)
