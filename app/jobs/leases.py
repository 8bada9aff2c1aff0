"""What a worker does to a job: claim it, keep it, report on it, finish it.

Every write carries the claim's attempt, the fencing token. A write that finds no row raises LeaseLost:
the job was given to somebody else, and the worker must stop at once.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.devices import Devices
from app.contract.events import EngineEvent, PhaseEntered, Step
from app.contract.job_file import MOST_HALVINGS
from app.contract.spec import JobSpec
from app.contract.states import FailureCode, JobState, StopReason
from app.db.base import db_now, new_id
from app.db.session import doorbells
from app.db.tables import Artifact, Job, JobEvent, JobLog
from app.jobs.gate import ChangedMeanwhile, transition
from app.jobs.repository import JobRepository, devices_of
from app.limits.turns import FREE, Turns
from app.models import students
from app.queue import Doorbell

_CANDIDATES = 8
"""Jobs that a worker tries to claim before it leaves the rest to the others that claim at the same time."""


class LeaseLost(Exception):
    """The job has another worker by now, or is over."""


@dataclass(frozen=True)
class Lease:
    """A claimed job."""

    job_id: str
    tenant_id: str
    attempt: int
    spec: JobSpec
    halvings: int = 0
    """Of micro-batches, in earlier attempts."""
    traceparent: str | None = None
    """The span of the request that submitted it."""


class Room(Protocol):
    """The devices of whoever claims."""

    @property
    def most(self) -> Devices:
        """The most that a job could get."""

    def take(self, devices: int) -> bool:
        """Take so many, all or none, in place of those taken before."""


async def claim(
    session: AsyncSession, worker: str, seconds: float, turns: Turns = FREE, room: Room | None = None
) -> Lease | None:
    """Take the first queued job that could ever run here, for `seconds`; None where there is nothing to take.

    Where it has to wait for devices, those behind it wait as well: else those of few devices would always be first.
    Without `room` there are devices for any.
    """
    for job in await _candidates(session, turns, room.most if room else Devices()):
        if room and not room.take(devices_of(job)):
            return None
        attempt = job.attempt + 1
        try:
            await transition(
                session, job, JobState.STARTING, attempt=attempt, worker=worker, lease_until=db_now(seconds),
                started_at=job.started_at or db_now(),
            )  # fmt: skip
        except ChangedMeanwhile:
            continue
        await turns.note(session, job.tenant_id)
        spec = JobSpec.model_validate(job.spec)
        return Lease(job.id, job.tenant_id, attempt, spec, job.halvings, job.traceparent)
    return None


async def _candidates(session: AsyncSession, turns: Turns, devices: Devices) -> Sequence[Job]:
    """Return jobs to try. Nobody else claims one of an account that has a limit before this transaction ends."""
    found = await JobRepository(session).claimable(_CANDIDATES, turns, devices=devices)
    tenants = {job.tenant_id for job in found}
    if not await turns.lock(session, tenants):
        return found
    session.expire_all()
    return await JobRepository(session).claimable(_CANDIDATES, turns, tenants, devices)


async def renew(session: AsyncSession, lease: Lease, seconds: float) -> JobState:
    """Extend the lease; the answer tells the worker of a wish to cancel or pause. Raises LeaseLost."""
    state = await JobRepository(session).renew(lease.job_id, lease.attempt, seconds)
    if state is None:
        raise LeaseLost(lease.job_id)
    return JobState(state)


async def hold(session: AsyncSession, lease: Lease) -> None:
    """Raise LeaseLost where the job is not ours any more; else it stays so until this transaction ends."""
    if await JobRepository(session).swap_leased(lease.job_id, lease.attempt, 0, {}) is None:
        raise LeaseLost(lease.job_id)


async def advance(session: AsyncSession, lease: Lease, to: JobState, **changes: Any) -> None:
    """Move the leased job on. Raises LeaseLost, or Conflict where a user's cancel came first."""
    job = await JobRepository(session).leased(lease.job_id, lease.attempt)
    if job is None:
        raise LeaseLost(lease.job_id)
    await transition(session, job, to, **changes)


async def record(session: AsyncSession, lease: Lease, events: Sequence[EngineEvent], log: str = "") -> None:
    """Store a batch of engine events and what the engine printed since. Raises LeaseLost."""
    last = await JobRepository(session).swap_leased(lease.job_id, lease.attempt, len(events), _progress(events))
    if last is None:
        raise LeaseLost(lease.job_id)
    first = last - len(events) + 1
    await JobRepository(session).add_events([_stored(lease, first + i, event) for i, event in enumerate(events)])
    if log:
        session.add(
            JobLog(id=new_id("log"), tenant_id=lease.tenant_id, job_id=lease.job_id, attempt=lease.attempt, text=log)
        )


def _stored(lease: Lease, seq: int, event: EngineEvent) -> JobEvent:
    return JobEvent(
        job_id=lease.job_id,
        seq=seq,
        tenant_id=lease.tenant_id,
        attempt=lease.attempt,
        type=event.type,
        time=event.time,
        data=event.model_dump(mode="json", exclude={"type", "time"}),
    )


def _progress(events: Sequence[EngineEvent]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for event in events:
        if isinstance(event, PhaseEntered):
            changes["phase"] = event.phase.value
        if isinstance(event, Step):
            changes |= {"progress": event.progress, "eta_seconds": event.eta_seconds}
    return changes


async def finish(session: AsyncSession, lease: Lease, stop_reason: StopReason, artifacts: Sequence[Artifact]) -> None:
    """Publish: the artifacts and the end of the job in one transaction, after their bytes are safe in the store."""
    await advance(session, lease, JobState.SUCCEEDED, stop_reason=stop_reason.value, progress=1.0)
    session.add_all(artifacts)
    await session.flush()
    job = await session.get_one(Job, lease.job_id)
    for artifact in artifacts:
        if artifact.kind == "student":
            await students.arrive(session, job, artifact)


async def fail(session: AsyncSession, lease: Lease, code: FailureCode, detail: str) -> None:
    """End the job as failed; one that was being cancelled is cancelled."""
    job = await JobRepository(session).leased(lease.job_id, lease.attempt)
    if job is None:
        raise LeaseLost(lease.job_id)
    if job.state == JobState.CANCELLING:
        await transition(session, job, JobState.CANCELLED)
    else:
        await transition(session, job, JobState.FAILED, failure_code=code.value, failure_detail=detail)


async def give_back(session: AsyncSession, lease: Lease, *, ring: bool = True) -> JobState:
    """Return the job to the queue uncharged: this worker has to stop, and a checkpoint is kept. Returns its state.

    Without `ring` it waits for the janitor's: whatever kept this worker from going on would keep the next one too.
    """
    job = await JobRepository(session).leased(lease.job_id, lease.attempt)
    if job is None:
        raise LeaseLost(lease.job_id)
    return await _lay_down_and_ring(session, job, ring=ring)


async def halve(session: AsyncSession, lease: Lease) -> int | None:
    """Note that micro-batches are halved once more, and return how often they are now; None where it is enough."""
    job = await JobRepository(session).leased(lease.job_id, lease.attempt)
    if job is None:
        raise LeaseLost(lease.job_id)
    if job.halvings == MOST_HALVINGS:
        return None
    halvings = job.halvings + 1
    await JobRepository(session).swap_leased(lease.job_id, lease.attempt, 0, {"halvings": halvings})
    return halvings


async def crash(session: AsyncSession, lease: Lease, detail: str) -> JobState:
    """The engine died without a word: charged like a lost worker, up to max_attempts. Returns the job's state."""
    job = await JobRepository(session).leased(lease.job_id, lease.attempt)
    if job is None:
        raise LeaseLost(lease.job_id)
    losses = job.losses + 1
    if losses < job.max_attempts or job.state in {JobState.CANCELLING, JobState.PAUSING}:
        return await _lay_down_and_ring(session, job, losses=losses)
    code = FailureCode.ENGINE_CRASHED.value
    await transition(session, job, JobState.FAILED, losses=losses, failure_code=code, failure_detail=detail)
    return JobState.FAILED


async def _lay_down_and_ring(session: AsyncSession, job: Job, *, ring: bool = True, **changes: Any) -> JobState:
    await lay_down(session, job, **changes)
    if ring and job.state == JobState.QUEUED:
        doorbells(session).append(Doorbell("distill", job.id))
    return JobState(job.state)


async def lay_down(session: AsyncSession, job: Job, **changes: Any) -> None:
    """Move a job that has no worker any more to where it belongs: cancelled, paused, or back in the queue."""
    # A wish is kept only while it is on its way: `desired_state` is then cancelled, paused, or queued (resumed again).
    await transition(session, job, JobState(job.desired_state or JobState.QUEUED), **changes)


def artifact(lease: Lease, kind: str, name: str, size: int, sha256: str, media_type: str) -> Artifact:
    """Return the row of a published file."""
    return Artifact(
        id=artifact_id(lease.job_id, kind, name),
        tenant_id=lease.tenant_id,
        job_id=lease.job_id,
        kind=kind,
        name=name,
        size=size,
        sha256=sha256,
        media_type=media_type,
    )


def artifact_id(job_id: str, kind: str, name: str) -> str:
    """Return the id of a job's artifact: the same however often its publication is tried."""
    return "art_" + hashlib.sha256(f"{job_id}/{kind}/{name}".encode()).hexdigest()[:32]
