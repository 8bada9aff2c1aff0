"""The one gate through which a job changes its state: a compare-and-swap together with its event, and what webhooks
are told of it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.checkpoints.repository import CheckpointRepository
from app.contract.errors import Conflict
from app.contract.states import TERMINAL, TRANSITIONS, JobState
from app.db.base import db_now
from app.db.tables import Job, JobEvent
from app.jobs.repository import JobRepository
from app.models import students
from app.webhooks import outbox


class ChangedMeanwhile(Conflict):
    """Somebody else changed the job between its reading and this write; read it again."""


_DONE_WITH = {JobState.SUCCEEDED, JobState.CANCELLED}
"""Ends after which nobody goes on from what was learnt."""
_WISHED = {JobState.CANCELLING: JobState.CANCELLED, JobState.PAUSING: JobState.PAUSED}


async def transition(session: AsyncSession, job: Job, to: JobState, **changes: Any) -> None:
    """Move `job` (as it was read) to the state `to`, with other columns changed alike.

    Raises Conflict where the table of states does not allow it, ChangedMeanwhile where the row was changed since.
    """
    origin, attempt = JobState(job.state), changes.get("attempt", job.attempt)
    if to not in TRANSITIONS[origin]:
        raise Conflict(f"a job that is {origin} cannot become {to}")
    values = {"state": to.value, "version": Job.version + 1, **_implied(job, to), **changes}
    seq = await JobRepository(session).swap(job, values)
    if seq is None:
        raise ChangedMeanwhile(f"job {job.id} was changed by somebody else in the meantime")
    await JobRepository(session).add_events([_event(job, attempt, seq, origin, to, changes)])
    if to in _DONE_WITH:
        await CheckpointRepository(session).clear(job.id)
    if to in TERMINAL and to is not JobState.SUCCEEDED:
        await students.stay_away(session, job, to)
    await session.refresh(job)
    await outbox.announce(session, job, to)


def expiry(spec: dict[str, Any]) -> db_now | None:
    """Return when a job that is queued now expires by its spec."""
    seconds = spec.get("max_pending")
    return None if seconds is None else db_now(seconds)


def _implied(job: Job, to: JobState) -> dict[str, Any]:
    """Return the columns that follow from the state."""
    idle = {"lease_until": None, "desired_state": None, "phase": None}
    if to in TERMINAL:
        return {**idle, "finished_at": db_now(), "blocked_by": None, "eta_seconds": None, "expires_at": None}
    if to is JobState.QUEUED:
        return {**idle, "queued_at": db_now(), "worker": None, "expires_at": expiry(job.spec)}
    if to is JobState.PAUSED:
        return {**idle, "worker": None, "eta_seconds": None, "expires_at": None}
    if to is JobState.STARTING:
        return {"expires_at": None}
    if to in _WISHED:
        return {"desired_state": _WISHED[to].value}
    return {}


def _event(job: Job, attempt: int, seq: int, origin: JobState, to: JobState, changes: dict[str, Any]) -> JobEvent:
    facts = {"from": origin.value, "to": to.value}
    shown = ("worker", "stop_reason", "failure_code", "failure_detail", "losses")
    facts |= {name: changes[name] for name in shown if changes.get(name) is not None}
    return JobEvent(
        job_id=job.id,
        seq=seq,
        tenant_id=job.tenant_id,
        attempt=attempt,
        type="job.terminal" if to in TERMINAL else "job.state",
        time=datetime.now(UTC),
        data=facts,
    )
