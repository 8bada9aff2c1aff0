"""/healthz and /readyz."""

import asyncio
from collections.abc import Awaitable, Sequence

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from app.api.dependencies import DatabaseDep, SettingsDep, StoreDep
from app.contract.resources import Part, Readiness
from app.db.session import Database
from app.queue import Bell
from app.workers import service as workers
from migrations import why_not

router = APIRouter(tags=["health"])
_PATIENCE_SECONDS = 4
"""Below what most probes give an answer; all parts are asked at once."""


@router.get("/healthz", summary="Alive?")
async def get_health() -> dict[str, str]:
    """Answers while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", summary="Ready?", responses={503: {"model": Readiness, "description": "Not ready"}})
async def get_readiness(
    request: Request, database: DatabaseDep, store: StoreDep, settings: SettingsDep, response: Response
) -> Readiness:
    """Whether database, migrations, broker and store can be used; 503 where one cannot.

    `sandbox` tells of the walls that workers put around uploads: a kernel that lacks one leaves the service ready.
    """
    bell: Bell = request.app.state.bell
    answers = await asyncio.gather(
        _in_time(_database(database), "database", "migrations"),
        _in_time(_reached("broker", bell.reachable()), "broker"),
        _in_time(_reached("store", store.reachable()), "store"),
        _in_time(_sandbox(database, settings.lease_seconds), "sandbox"),
    )
    parts = {name: part for answer in answers for name, part in answer.items()}
    ready = all(part.ok for part in parts.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, parts=parts)


async def _in_time(question: Awaitable[dict[str, Part]], *names: str) -> dict[str, Part]:
    """A part that takes a connection and then says nothing is as good as away."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await question
    except TimeoutError:
        return {name: Part(ok=False, detail=f"no answer within {_PATIENCE_SECONDS} seconds") for name in names}


async def _database(database: Database) -> dict[str, Part]:
    try:
        revision = await database.revision()
    except (SQLAlchemyError, OSError) as error:
        away = Part(ok=False, detail=str(error).splitlines()[0])
        return {"database": away, "migrations": Part(ok=False, detail="unknown: the database cannot be reached")}
    reason = why_not(revision)
    return {"database": _part(None), "migrations": Part(ok=reason is None, detail=reason or f"at revision {revision}")}


async def _sandbox(database: Database, lost_after: float) -> dict[str, Part]:
    try:
        async with database.reading() as session:
            found = await workers.walls(session, lost_after)
    except (SQLAlchemyError, OSError):
        return {"sandbox": Part(ok=False, detail="unknown: the database cannot be reached")}
    return {"sandbox": Part(ok=True, detail=_walls_in_words(found))}


def _walls_in_words(found: Sequence[Sequence[str]]) -> str:
    """Say what workers have, and how many lack something that another has."""
    every = list(dict.fromkeys(layer for layers in found for layer in layers))
    lacking = {layer: sum(layer not in layers for layers in found) for layer in every}
    least = "".join(f"; {count} of {len(found)} workers lack {layer}" for layer, count in lacking.items() if count)
    return f"around uploads: {', '.join(every) or 'nothing'}{least}" if found else "unknown: no worker is there"


async def _reached(name: str, reachable: Awaitable[str | None]) -> dict[str, Part]:
    return {name: _part(await reachable)}


def _part(reason: str | None) -> Part:
    return Part(ok=reason is None, detail=reason or "reachable")
