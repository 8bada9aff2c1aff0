"""The HTTP service: create_app() wires lifespan, middleware, routers and error handlers; nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, Depends, FastAPI
from fastapi.telemetry import TelemetryConfig
from sqlalchemy.exc import SQLAlchemyError

from app import logs, tracing
from app.accounts.callers import Callers
from app.accounts.pepper import pepper_of
from app.api import (
    accounts,
    api_keys,
    audit_log,
    catalog,
    cors,
    datasets,
    docs,
    explained,
    files,
    health,
    job_events,
    job_results,
    job_wishes,
    jobs,
    metrics,
    models,
    problems,
    retention,
    tus,
    uploads,
    usage,
    webhooks,
    workers,
)
from app.api.dependencies import caller
from app.api.identity import Identified
from app.api.middleware import BodyLimit, HeadAsGet, RequestId
from app.api.pace import Pace
from app.api.security_headers import SecurityHeaders
from app.api.storable import storable
from app.db.session import Database
from app.limits.rate import Rate
from app.queue import Bell
from app.settings import Settings
from app.store import Store
from app.webhooks.receivers import Receivers
from migrations import why_not

_DESCRIPTION = """Knowledge-distillation jobs: upload a teacher and a transfer set, submit a job, watch it live, and
download a small student that works. The examples on this page run as they are, on a sample that is there already."""
_NOT_TRACED = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the service. Settings come from the environment where none are given."""
    settings = settings or Settings()
    logs.set_up(settings.log_format, settings.log_level)
    app = FastAPI(
        title="Stillhouse",
        version=version("stillhouse"),
        summary="A self-hosted service for knowledge-distillation jobs",
        description=_DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=lambda route: route.name,
        telemetry=_telemetry(),
    )
    app.state.settings = settings
    app.state.requests = metrics.Requests()
    for router in _routers():
        app.include_router(router)
    docs.install(app)
    problems.install(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, except_paths=("/v1/files", "/v1/uploads/"))
    app.add_middleware(Pace, floor=settings.slowest_bytes_per_second, patience=settings.body_patience_seconds)
    app.add_middleware(Identified, path="/v1")
    app.add_middleware(metrics.Measured, requests=app.state.requests)
    app.add_middleware(HeadAsGet)
    app.add_middleware(tus.Tus, path="/v1/uploads")
    cors.install(app, settings.cors_origins)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestId)
    return app


def _telemetry() -> TelemetryConfig:
    """FastAPI's own spans, one a request, by our provider; no metrics, which are at /metrics, and no logs."""
    provider = tracing.start("stillhouse-api")
    return {
        "tracing": provider is not None,
        "tracer_provider": provider,
        "operation_spans": False,
        "metrics": False,
        "logs": False,
        "auto_configure": False,
        "exclude": lambda scope: scope.get("path") in _NOT_TRACED,
    }


def _routers() -> list[APIRouter]:
    first = APIRouter(prefix="/v1", dependencies=[Depends(caller), Depends(storable)])
    of_jobs = (jobs, job_wishes, job_events, job_results)
    for module in (files, uploads, models, datasets, *of_jobs, webhooks, workers, usage, retention, catalog):
        first.include_router(module.router)
    for administrative in (accounts, api_keys, audit_log):
        first.include_router(administrative.router)
    return [first, health.router, metrics.router, explained.router]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    settings.data.mkdir(parents=True, exist_ok=True)
    app.state.bell = Bell(settings.broker_url)
    app.state.database = Database(settings.database, app.state.bell)
    app.state.pepper = pepper_of(settings)
    app.state.callers = Callers(app.state.database, app.state.pepper)
    app.state.store = Store(settings)
    app.state.receivers = Receivers(settings)
    app.state.rate = Rate(settings.broker_url)
    await _check_schema(app.state.database)
    yield
    app.state.receivers.close()
    await app.state.callers.close()
    await app.state.rate.close()
    await app.state.database.close()
    await app.state.bell.close()
    await asyncio.to_thread(tracing.end)


async def _check_schema(database: Database) -> None:
    """Refuse to start on another schema than this code's. A database that is away may come back: /readyz tells."""
    try:
        reason = why_not(await database.revision())
    except (SQLAlchemyError, OSError):
        return
    if reason:
        raise RuntimeError(f"not started: {reason}")
