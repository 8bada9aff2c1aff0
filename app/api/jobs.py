"""/v1/jobs: submit, look, change, clone, delete."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.api import render
from app.api.cursor import next_cursor
from app.api.dependencies import (
    Cursor,
    ExpectedVersion,
    IdempotencyKey,
    Limit,
    LimitsDep,
    Reading,
    SettingsDep,
    Tenant,
    Writing,
)
from app.api.once import answer_once
from app.api.parameters import JobId, SpareJobId
from app.api.responses import errors
from app.contract.errors import BadRequest
from app.contract.moments import Moment
from app.contract.resources import Job, JobChange, JobClone, Page, Validation
from app.contract.spec import JobSpec
from app.contract.states import JobState
from app.db import tables
from app.jobs import service
from app.jobs.repository import JobFilter, JobRepository
from app.limits.turns import Turns
from app.samples.service import spec as sample_spec
from app.settings import Settings
from app.workers import service as workers

router = APIRouter(prefix="/jobs", tags=["jobs"])
_SPEC = {"iris": {"summary": "Irises: 0.9 soft, 0.1 hard targets", "value": sample_spec().model_dump(mode="json")}}
_CLONE = {"name": {"summary": "Under another name", "value": {"name": "Irises, once more"}}}
_SAME = JobClone()
_CHANGE = {"label": {"summary": "Another priority and label", "value": {"priority": 1, "labels": {"sample": "iris"}}}}


async def shown(session: AsyncSession, row: tables.Job, settings: Settings) -> Job:
    return (await _all_shown(session, [row], settings))[0]


async def _all_shown(session: AsyncSession, rows: Sequence[tables.Job], settings: Settings) -> list[Job]:
    positions = await JobRepository(session).positions(rows)
    devices = await workers.most_devices(session, settings.lease_seconds)
    waiting = {row.tenant_id for row in rows if row.state == JobState.QUEUED}
    full = await Turns(settings.limit_running_jobs).full(session, waiting)
    return [render.job(row, positions, devices, full=row.tenant_id in full) for row in rows]


@router.post("", status_code=201, response_model=Job, summary="Submit a job", responses=errors(400, 409, 413, 422))
async def create_job(
    spec: Annotated[JobSpec, Body(openapi_examples=_SPEC)],
    tenant: Tenant,
    session: Writing,
    settings: SettingsDep,
    limits: LimitsDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Queue a distillation job. Everything that can be checked is checked now; `errors` points at each field."""

    async def act() -> Job:
        made = await service.submit(session, tenant, spec, settings.max_parameters, limits=limits)
        return await shown(session, made, settings)

    return await answer_once(session, tenant, idempotency_key, spec, act)


@router.post("/validate", summary="Check a job spec", responses=errors(400, 413, 422))
async def validate_job(
    document: Annotated[dict[str, Any], Body(openapi_examples=_SPEC)],
    tenant: Tenant,
    session: Reading,
    settings: SettingsDep,
    limits: LimitsDep,
) -> Validation:
    """Say everything that is wrong with a spec, what it will need, and what it looks like with all defaults."""
    return await service.validate(session, tenant, document, settings.max_parameters, limits)


def _filter(
    state: Annotated[list[JobState] | None, Query(description="Any of these states")] = None,
    label: Annotated[list[str] | None, Query(description="`key:value`; all of them", max_length=32)] = None,
    teacher: str | None = None,
    transfer_set: str | None = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
) -> JobFilter:
    pairs = [entry.partition(":") for entry in label or []]
    if any(not separator for _, separator, _ in pairs):
        raise BadRequest("label takes key:value")
    return JobFilter(
        state=[entry.value for entry in state or []],
        labels=tuple((key, value) for key, _, value in pairs),
        teacher=teacher,
        transfer_set=transfer_set,
        created_after=created_after,
        created_before=created_before,
    )


@router.get("", summary="List jobs", responses=errors(400, 422))
async def list_jobs(
    tenant: Tenant,
    session: Reading,
    settings: SettingsDep,
    chosen: Annotated[JobFilter, Depends(_filter)],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[Job]:
    """Jobs, newest first."""
    repository = JobRepository(session)
    rows = await repository.page(tenant, limit + 1, cursor, *chosen.conditions())
    more, following = next_cursor(rows, limit)
    return Page(data=await _all_shown(session, rows[:limit], settings), has_more=more, next_cursor=following)


@router.get("/{job_id}", summary="Show a job", responses=errors(404))
async def get_job(job_id: JobId, tenant: Tenant, session: Reading, settings: SettingsDep, response: Response) -> Job:
    """State, phase, progress, place in the queue, and why it failed if it did."""
    row = await service.get(session, tenant, job_id)
    response.headers["ETag"] = f'"{row.version}"'
    return await shown(session, row, settings)


@router.patch("/{job_id}", summary="Change a job", responses=errors(400, 404, 412, 413, 422))
async def update_job(
    job_id: JobId,
    wanted: Annotated[JobChange, Body(openapi_examples=_CHANGE)],
    tenant: Tenant,
    session: Writing,
    settings: SettingsDep,
    response: Response,
    expected: ExpectedVersion,
) -> Job:
    """Change name, priority or labels, or pin the job: retention leaves it, and what it names, alone then."""
    row = await service.change(session, tenant, job_id, wanted, expected)
    response.headers["ETag"] = f'"{row.version}"'
    return await shown(session, row, settings)


@router.post(
    "/{job_id}/clone",
    status_code=201,
    response_model=Job,
    summary="Clone a job",
    responses=errors(400, 404, 409, 413, 422),
)
async def clone_job(
    job_id: JobId,
    tenant: Tenant,
    session: Writing,
    settings: SettingsDep,
    limits: LimitsDep,
    wanted: Annotated[JobClone, Body(openapi_examples=_CLONE)] = _SAME,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Submit a job's resolved spec again, whatever became of it; on the same CPU it gives the same student, bit by bit.

    `errors` says what of its inputs is gone, where it can no longer run.
    """

    async def act() -> Job:
        cloned = await service.clone(session, tenant, job_id, wanted.name, settings.max_parameters, limits)
        return await shown(session, cloned, settings)

    return await answer_once(session, tenant, idempotency_key, wanted, act, of=job_id)


@router.delete("/{job_id}", status_code=204, summary="Delete a job", responses=errors(404, 409))
async def delete_job(job_id: SpareJobId, tenant: Tenant, session: Writing) -> None:
    """Forget a job that is over, with its events, logs and artifacts."""
    await service.delete(session, tenant, job_id)
