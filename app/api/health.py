"""/healthz and /readyz."""

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from app.api.dependencies import DatabaseDep, StoreDep
from app.contract.resources import Part, Readiness
from app.db.session import Database
from app.queue import Bell
from migrations import why_not

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Alive?")
async def get_health() -> dict[str, str]:
    """Answers while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", summary="Ready?", responses={503: {"model": Readiness, "description": "Not ready"}})
async def get_readiness(request: Request, database: DatabaseDep, store: StoreDep, response: Response) -> Readiness:
    """Whether database, migrations, broker and store can be used; 503 where one cannot."""
    bell: Bell = request.app.state.bell
    parts = {
        **await _database(database),
        "broker": _part(await bell.reachable()),
        "store": _part(await store.reachable()),
    }
    ready = all(part.ok for part in parts.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, parts=parts)


async def _database(database: Database) -> dict[str, Part]:
    try:
        revision = await database.revision()
    except (SQLAlchemyError, OSError) as error:
        away = Part(ok=False, detail=str(error).splitlines()[0])
        return {"database": away, "migrations": Part(ok=False, detail="unknown: the database cannot be reached")}
    reason = why_not(revision)
    return {"database": _part(None), "migrations": Part(ok=reason is None, detail=reason or f"at revision {revision}")}


def _part(why_not: str | None) -> Part:
    return Part(ok=why_not is None, detail=why_not or "reachable")
