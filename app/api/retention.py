"""/v1/retention: what would be removed, without removing it."""

from fastapi import APIRouter

from app.api.dependencies import CallerDep, DatabaseDep, SettingsDep, StoreDep
from app.api.responses import errors
from app.contract.accounts import Scope
from app.contract.retention import Retention
from app.files import orphans
from app.retention import service

router = APIRouter(prefix="/retention", tags=["retention"])


@router.get("", summary="Retention: a dry run", responses=errors())
async def show_retention(caller: CallerDep, database: DatabaseDep, store: StoreDep, settings: SettingsDep) -> Retention:
    """What the janitor's next pass would remove, and why. Nothing is removed; what is pinned is not among it.

    An administrator is told of all tenants, and of stored bytes that nothing refers to: that looks through the whole
    store, which takes a while where it is large.
    """
    administers = Scope.ADMIN in caller.scopes
    async with database.reading() as session:
        rows = await service.due(session, settings, None if administers else caller.tenant)
    stored = await orphans.due(database, store, settings.orphan_seconds) if administers else []
    return Retention(removals=[*rows, *stored])
