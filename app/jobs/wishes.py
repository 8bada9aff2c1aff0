"""What a user asks of a job that is not over: cancel, pause, resume. Each is safe to repeat.

A job that has a worker goes on until that looks at its lease, and is then laid down (`app.jobs.leases.lay_down`).
"""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Conflict
from app.contract.states import TERMINAL, JobState
from app.db.owned import change as change_row
from app.db.session import doorbells
from app.db.tables import Job
from app.jobs.blocked import look_again
from app.jobs.gate import ChangedMeanwhile, transition
from app.jobs.service import get
from app.queue import Doorbell

_TRIES = 5
_Wish = Callable[[AsyncSession, str, str], Awaitable[Job]]


async def cancel(session: AsyncSession, tenant: str, job_id: str) -> Job:
    """End a job: at once where nobody works on it, else as soon as its worker looks.

    Raises Conflict where the job is already over, or just being published.
    """
    return await _insist(_cancel, session, tenant, job_id)


async def _cancel(session: AsyncSession, tenant: str, job_id: str) -> Job:
    job = await get(session, tenant, job_id)
    if job.state in {JobState.CANCELLED, JobState.CANCELLING}:
        return job
    if job.state in TERMINAL or job.state == JobState.FINALIZING:
        raise Conflict(f"the job is {job.state}; there is nothing left to cancel")
    waiting = job.state in {JobState.QUEUED, JobState.PAUSED}
    await transition(session, job, JobState.CANCELLED if waiting else JobState.CANCELLING)
    return job


async def pause(session: AsyncSession, tenant: str, job_id: str) -> Job:
    """Lay a job down until it is resumed: at once where nobody works on it, else once its checkpoint is written.

    Raises Conflict where the job is over, or about to be.
    """
    return await _insist(_pause, session, tenant, job_id)


async def _pause(session: AsyncSession, tenant: str, job_id: str) -> Job:
    job = await get(session, tenant, job_id)
    if job.state in TERMINAL | {JobState.FINALIZING, JobState.CANCELLING}:
        raise Conflict(f"the job is {job.state}; there is nothing left to pause")
    if job.state == JobState.PAUSING:
        await _wish(session, job, JobState.PAUSED)
    elif job.state != JobState.PAUSED:
        await transition(session, job, JobState.PAUSED if job.state == JobState.QUEUED else JobState.PAUSING)
    return job


async def resume(session: AsyncSession, tenant: str, job_id: str) -> Job:
    """Put a paused job back into the queue; one that is not paused goes on as it does.

    Raises Conflict where the job is over, or about to be.
    """
    return await _insist(_resume, session, tenant, job_id)


async def _resume(session: AsyncSession, tenant: str, job_id: str) -> Job:
    job = await get(session, tenant, job_id)
    if job.state in TERMINAL | {JobState.CANCELLING}:
        raise Conflict(f"the job is {job.state}; only a job that is not over can go on")
    if job.state == JobState.PAUSING:
        await _wish(session, job, JobState.QUEUED)
    elif job.state == JobState.PAUSED:
        await transition(session, job, JobState.QUEUED)
        await _call_for_work(session, job)
    return job


async def _insist(wish: _Wish, session: AsyncSession, tenant: str, job_id: str) -> Job:
    """Look again where a worker changed the job at the same moment: that is no reason to refuse a user."""
    for _ in range(_TRIES - 1):
        try:
            return await wish(session, tenant, job_id)
        except ChangedMeanwhile:
            session.expire_all()
    return await wish(session, tenant, job_id)


async def _wish(session: AsyncSession, job: Job, state: JobState) -> None:
    """Say where a pausing job shall go once its checkpoint is written."""
    if job.desired_state != state and not await change_row(session, job, job.version, desired_state=state.value):
        raise ChangedMeanwhile(f"job {job.id} was changed by somebody else in the meantime")


async def _call_for_work(session: AsyncSession, job: Job) -> None:
    if job.blocked_by is None:
        doorbells(session).append(Doorbell("distill", job.id))
    else:
        await look_again(session, [job])  # what it waited for may have come while it was paused
