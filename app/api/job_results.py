"""What comes out of a job: metrics, logs, artifacts, report, student."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.api import render
from app.api.dependencies import DatabaseDep, Reading, StoreDep, Tenant
from app.api.downloads import Content, send
from app.api.middleware import wants_no_body
from app.api.parameters import ArtifactId, JobId
from app.api.responses import errors
from app.contract.report import Report
from app.contract.resources import Artifact, Metrics, Page
from app.db import tables
from app.db.session import Database
from app.jobs import metrics, service
from app.jobs.repository import JobRepository

router = APIRouter(tags=["results"])


def _bytes(media_type: str) -> dict[int | str, dict[str, Any]]:
    schema = {} if media_type == "*/*" else {"type": "string", "format": "binary"}  # some are JSON
    content = {"content": {media_type: {"schema": schema}}}
    return {
        200: {"description": "The bytes", **content},
        206: {"description": "The range asked for", **content},
        304: {"description": "You have these bytes already"},
        416: errors(416)[416],
    }


_ELSEWHERE: dict[int | str, dict[str, Any]] = {307: {"description": "Where the bytes lie (S3)"}}
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The log", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.get("/jobs/{job_id}/metrics", summary="A job's metrics", responses=errors(404, 422))
async def get_job_metrics(
    job_id: JobId,
    tenant: Tenant,
    session: Reading,
    name: Annotated[list[str] | None, Query(description="Only these series, such as `student/loss`")] = None,
    from_step: Annotated[int, Query(ge=0)] = 0,
    max_points: Annotated[int, Query(ge=1, le=10_000, description="Points of a series; thinned out above")] = 1000,
) -> Metrics:
    """Each metric as a series over optimiser steps."""
    await service.get(session, tenant, job_id)
    measured = await JobRepository(session).measurements(tenant, job_id)
    return Metrics(series=metrics.series(measured, frozenset(name or ()), from_step, max_points))


@router.get(
    "/jobs/{job_id}/logs", response_class=StreamingResponse, summary="A job's log", responses={**errors(404), **_TEXT}
)
async def get_job_logs(
    job_id: JobId, tenant: Tenant, database: DatabaseDep, request: Request, session: Reading
) -> Response:
    """What the engine printed so far, as plain text."""
    await service.get(session, tenant, job_id)
    if wants_no_body(request):
        return Response(media_type="text/plain")
    return StreamingResponse(_log_text(database, tenant, job_id), media_type="text/plain; charset=utf-8")


async def _log_text(database: Database, tenant: str, job_id: str) -> AsyncIterator[str]:
    last = ""
    while True:
        async with database.reading() as session:  # no session stays open while the client reads
            pieces = await JobRepository(session).logs(tenant, job_id, after=last)
        if not pieces:
            return
        for piece in pieces:
            yield piece.text
        last = pieces[-1].id


@router.get("/jobs/{job_id}/artifacts", summary="A job's artifacts", responses=errors(404))
async def list_job_artifacts(job_id: JobId, tenant: Tenant, session: Reading) -> Page[Artifact]:
    """The published files, with their hashes."""
    await service.get(session, tenant, job_id)
    rows = await JobRepository(session).artifacts(tenant, job_id)
    return Page(data=[render.artifact(row) for row in rows], has_more=False, next_cursor=None)


@router.get(
    "/jobs/{job_id}/report",
    response_class=Response,
    summary="A job's report",
    responses={**errors(404, 409), **_bytes("application/json"), 200: {"model": Report}},
)
async def get_job_report(
    job_id: JobId, tenant: Tenant, session: Reading, store: StoreDep, request: Request
) -> Response:
    """Teacher, distilled student, and the same student without the teacher."""
    found = await service.artifact_of(session, tenant, job_id, "report")
    return await send(request, _content(found), store, inline=True)


@router.get(
    "/jobs/{job_id}/student",
    response_class=Response,
    summary="Download the student",
    responses={**errors(404, 409), **_bytes("application/octet-stream"), **_ELSEWHERE},
)
async def get_job_student(
    job_id: JobId, tenant: Tenant, session: Reading, store: StoreDep, request: Request
) -> Response:
    """The distilled weights (safetensors)."""
    found = await service.artifact_of(session, tenant, job_id, "student")
    return await send(request, _content(found), store)


@router.get(
    "/artifacts/{artifact_id}",
    response_class=Response,
    summary="Download an artifact",
    responses={**errors(404), **_bytes("*/*"), **_ELSEWHERE},
)
async def get_artifact(
    artifact_id: ArtifactId, tenant: Tenant, session: Reading, store: StoreDep, request: Request
) -> Response:
    """The bytes of a published file; takes Range, If-Range and If-None-Match."""
    return await send(request, _content(await service.artifact(session, tenant, artifact_id)), store)


def _content(row: tables.Artifact) -> Content:
    return Content(row.sha256, row.size, row.name, row.media_type)
