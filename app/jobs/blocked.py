"""Jobs that wait for an inspection, and what becomes of them when it ends."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.spec import JobSpec
from app.contract.states import BlockedBy, FailureCode, InspectionState, JobState
from app.db.session import doorbells
from app.db.tables import Dataset, Job, Model
from app.jobs import checks
from app.jobs.gate import transition
from app.jobs.repository import JobRepository
from app.queue import Doorbell

_PENDING = {InspectionState.UPLOADED, InspectionState.INSPECTING}


def waits_for(teacher: Model, dataset: Dataset) -> BlockedBy | None:
    """Return what keeps a job on these from being taken."""
    pending = teacher.state in _PENDING or dataset.state in _PENDING
    return BlockedBy.INSPECTION if pending else None


async def unblock(session: AsyncSession, subject_id: str) -> None:
    """Let the jobs go on, or fail, that waited for the inspection of this model or transfer set."""
    await _look_again(session, await JobRepository(session).waiting_for(subject_id))


async def unblock_forgotten(session: AsyncSession) -> int:
    """Do the same for jobs submitted while their inspection was just ending."""
    jobs = await JobRepository(session).blocked_on_nothing()
    await _look_again(session, jobs)
    return len(jobs)


async def _look_again(session: AsyncSession, jobs: Sequence[Job]) -> None:
    for job in jobs:
        teacher = await session.get_one(Model, job.teacher_id)
        dataset = await session.get_one(Dataset, job.dataset_id)
        # Sizes were checked when the job was submitted.
        found = checks.errors(JobSpec.model_validate(job.spec), teacher, dataset, max_parameters=2**63)
        if found:
            why = "; ".join(f"{problem.pointer}: {problem.detail}" for problem in found)
            code = FailureCode.INVALID_SPEC.value
            await transition(session, job, JobState.FAILED, failure_code=code, failure_detail=why)
        elif waits_for(teacher, dataset) is None:
            job.blocked_by = None
            doorbells(session).append(Doorbell("distill", job.id))
    await session.flush()
