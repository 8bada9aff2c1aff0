"""/v1/jobs/{id}/cancel, /pause, /resume: what a user asks of a job that is not over."""

from fastapi import APIRouter

from app.api.dependencies import Tenant, Writing
from app.api.jobs import shown
from app.api.parameters import CancelledJobId, PausedJobId
from app.api.responses import errors
from app.contract.resources import Job
from app.jobs import wishes

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post("/{job_id}/cancel", status_code=202, summary="Cancel a job", responses=errors(404, 409))
async def cancel_job(job_id: CancelledJobId, tenant: Tenant, session: Writing) -> Job:
    """End a job: at once where it waits, within seconds where it runs. Safe to repeat."""
    return await shown(session, await wishes.cancel(session, tenant, job_id))


@router.post("/{job_id}/pause", status_code=202, summary="Pause a job", responses=errors(404, 409))
async def pause_job(job_id: PausedJobId, tenant: Tenant, session: Writing) -> Job:
    """Lay a job down until it is resumed. Safe to repeat.

    One that waits is `paused` at once. One that runs is `pausing` until its checkpoint is written, within seconds; its
    worker is free then. 409 where the job is over, or about to be.
    """
    return await shown(session, await wishes.pause(session, tenant, job_id))


@router.post("/{job_id}/resume", status_code=202, summary="Resume a job", responses=errors(404, 409))
async def resume_job(job_id: PausedJobId, tenant: Tenant, session: Writing) -> Job:
    """Put a paused job back into the queue; it goes on from its checkpoint. Safe to repeat.

    On the same CPU the student is, bit by bit, the one that it would have been without the pause. 409 where the job is
    over, or about to be.
    """
    return await shown(session, await wishes.resume(session, tenant, job_id))
