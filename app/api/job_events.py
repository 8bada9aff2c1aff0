"""/v1/jobs/{id}/events: the history as JSON, or live as server-sent events."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from app.api import render
from app.api.dependencies import DatabaseDep, Limit, SettingsDep, Tenant
from app.api.middleware import wants_no_body
from app.api.parameters import JobId
from app.api.responses import errors
from app.contract.resources import JobEvent, Page
from app.db import tables
from app.db.session import Database
from app.jobs import service
from app.jobs.repository import JobRepository

router = APIRouter(prefix="/jobs", tags=["jobs"])
_BATCH = 500
_PING_SECONDS = 15
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@router.get(
    "/{job_id}/events", response_model=Page[JobEvent], summary="A job's events", responses={**errors(404), **_STREAM}
)
async def list_job_events(
    job_id: JobId,
    tenant: Tenant,
    database: DatabaseDep,
    settings: SettingsDep,
    request: Request,
    after: Annotated[int, Query(ge=0, lt=2**31, description="Only events with a higher `seq`")] = 0,
    limit: Limit = 100,
    last_event_id: Annotated[
        int | None, Header(alias="Last-Event-ID", ge=0, lt=2**31, description="Resumes a stream after this `seq`")
    ] = None,
) -> Response | Page[JobEvent]:
    """The history as a JSON page; with `Accept: text/event-stream` as a stream that ends after `job.terminal`.

    A stream resumes without a gap from `Last-Event-ID`. For the next JSON page give the last `seq` as `after`.
    """
    async with database.reading() as session:
        await service.get(session, tenant, job_id)
    if "text/event-stream" in request.headers.get("accept", ""):
        start = after if last_event_id is None else last_event_id
        events = _follow(database, tenant, job_id, start, settings.relay_seconds)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return EventSourceResponse(_nothing() if wants_no_body(request) else _encoded(events), headers=headers)
    rows = await _read(database, tenant, job_id, after, limit + 1)
    return Page(data=[render.event(row) for row in rows[:limit]], has_more=len(rows) > limit, next_cursor=None)


async def _read(database: Database, tenant: str, job_id: str, after: int, limit: int) -> list[tables.JobEvent]:
    async with database.reading() as session:  # never held while the stream waits
        return await JobRepository(session).events(tenant, job_id, after, limit)


async def _follow(
    database: Database, tenant: str, job_id: str, after: int, pause: float
) -> AsyncIterator[tables.JobEvent | None]:
    """Yield the events after `after` as they come, None where a ping is due, and end after the last one."""
    quiet_since = time.monotonic()
    while True:
        rows = await _read(database, tenant, job_id, after, _BATCH)
        for row in rows:
            yield row
            after, quiet_since = row.seq, time.monotonic()
            if row.type == "job.terminal":
                return
        if not rows and await _over(database, tenant, job_id):
            return
        if time.monotonic() - quiet_since > _PING_SECONDS:
            yield None
            quiet_since = time.monotonic()
        await asyncio.sleep(0 if len(rows) == _BATCH else pause)


async def _over(database: Database, tenant: str, job_id: str) -> bool:
    """Return whether no event can come any more: the job ended before the place asked for, or was deleted."""
    async with database.reading() as session:
        job = await JobRepository(session).get(tenant, job_id)
        return job is None or job.finished_at is not None


async def _encoded(events: AsyncIterator[tables.JobEvent | None]) -> AsyncIterator[bytes]:
    async for row in events:
        if row is None:
            yield KEEPALIVE_COMMENT
        else:
            data = render.event(row).model_dump_json()
            yield format_sse_event(data_str=data, event=row.type, id=str(row.seq))


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""
