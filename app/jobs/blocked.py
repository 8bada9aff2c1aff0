"""Jobs that wait for an inspection, and what becomes of them when it ends."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.spec import JobSpec
from app.contract.states import BlockedBy, FailureCode, InspectionState, JobState
from app.db.session import doorbells
from app.db.tables import Job
from app.jobs import checks
from app.jobs.gate import transition
from app.jobs.named import Named, find
from app.jobs.repository import JobRepository
from app.queue import Doorbell

_PENDING = {InspectionState.UPLOADED, InspectionState.INSPECTING}


def waits_for(named: Named) -> BlockedBy | None:
    """Return what keeps a job on these from being taken."""
    states = [named.dataset.state, *(model.state for model, _ in named.parts())]
    if InspectionState.AWAITED in states:
        return BlockedBy.JOB
    return BlockedBy.INSPECTION if any(state in _PENDING for state in states) else None


async def unblock(session: AsyncSession, subject_id: str) -> None:
    """Let the jobs go on, or fail, that waited for the inspection of this model or transfer set."""
    await look_again(session, await JobRepository(session).waiting_for(subject_id))


async def unblock_forgotten(session: AsyncSession) -> int:
    """Do the same for jobs submitted while their inspection was just ending."""
    jobs = await JobRepository(session).blocked_on_nothing()
    await look_again(session, jobs)
    return len(jobs)


async def look_again(session: AsyncSession, jobs: Sequence[Job]) -> None:
    """Let queued jobs that were marked as blocked wait on, be taken, or fail, by how things are now."""
    for job in jobs:
        spec = JobSpec.model_validate(job.spec)
        named, missing = await find(session, job.tenant_id, spec)
        # Sizes were checked when the job was submitted.
        found = checks.errors(spec, named, max_parameters=2**63) if named else missing
        if found:
            why = "; ".join(f"{problem.pointer}: {problem.detail}" for problem in found)
            code = _code(named).value
            await transition(session, job, JobState.FAILED, failure_code=code, failure_detail=why)
        elif named and (waits := waits_for(named)):
            job.blocked_by = waits.value
        else:
            job.blocked_by = None
            doorbells(session).append(Doorbell("distill", job.id))
    await session.flush()


def _code(named: Named | None) -> FailureCode:
    """Return what a job fails with that cannot run: an upload that was rejected, or else its own spec."""
    if named and any(model.state == InspectionState.REJECTED and model.file_id for model, _ in named.parts()):
        return FailureCode.INVALID_WEIGHTS
    if named and named.dataset.state == InspectionState.REJECTED:
        return FailureCode.INVALID_TRANSFER_SET
    return FailureCode.INVALID_SPEC
