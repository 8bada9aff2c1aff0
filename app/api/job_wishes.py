"""/v1/jobs/{id}/cancel, /pause, /resume, /retry: what a user asks of a job."""

from fastapi import APIRouter

from app.api.dependencies import LimitsDep, SettingsDep, Tenant, Writing
from app.api.jobs import shown
from app.api.parameters import CancelledJobId, PausedJobId
from app.api.responses import errors
from app.contract.resources import Job
from app.jobs import service, wishes

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post("/{job_id}/cancel", status_code=202, summary="Cancel a job", responses=errors(404, 409))
async def cancel_job(job_id: CancelledJobId, tenant: Tenant, session: Writing, settings: SettingsDep) -> Job:
    """End a job: at once where it waits, within seconds where it runs. Safe to repeat."""
    return await shown(session, await wishes.cancel(session, tenant, job_id), settings)


@router.post("/{job_id}/pause", status_code=202, summary="Pause a job", responses=errors(404, 409))
async def pause_job(job_id: PausedJobId, tenant: Tenant, session: Writing, settings: SettingsDep) -> Job:
    """Lay a job down until it is resumed. Safe to repeat.

    One that waits is `paused` at once. One that runs is `pausing` until its checkpoint is written, within seconds; its
    worker is free then. 409 where the job is over, or about to be.
    """
    return await shown(session, await wishes.pause(session, tenant, job_id), settings)


@router.post("/{job_id}/resume", status_code=202, summary="Resume a job", responses=errors(404, 409))
async def resume_job(job_id: PausedJobId, tenant: Tenant, session: Writing, settings: SettingsDep) -> Job:
    """Put a paused job back into the queue; it goes on from its checkpoint. Safe to repeat.

    On the same CPU the student is, bit by bit, the one that it would have been without the pause. 409 where the job is
    over, or about to be.
    """
    return await shown(session, await wishes.resume(session, tenant, job_id), settings)


@router.post("/{job_id}/retry", status_code=202, summary="Retry a job", responses=errors(404, 409, 422))
async def retry_job(
    job_id: CancelledJobId, tenant: Tenant, session: Writing, settings: SettingsDep, limits: LimitsDep
) -> Job:
    """Queue a job that failed, was cancelled or expired again: as a new job, whose `retry_of` names it.

    It has all its attempts anew, and goes on from the last checkpoint of the one that failed or expired, for as long as
    that is kept (`STILLHOUSE_FAILED_SECONDS`) in a store that hosts share, or else on the host that takes the job. Safe
    to repeat: a job has one retry, which is answered again. 409 where the job is not over or has succeeded; 422 says
    what of its inputs is gone.
    """
    made = await service.retry(session, tenant, job_id, settings.max_parameters, limits)
    return await shown(session, made, settings)
