"""/v1/audit_log: what was changed, by whom."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.accounts.repository import AuditFilter, AuditRepository
from app.api import render
from app.api.cursor import next_cursor
from app.api.dependencies import AdminOnly, Cursor, Limit, Reading
from app.api.responses import errors
from app.contract.accounts import AuditEntry
from app.contract.moments import Moment
from app.contract.resources import Page

router = APIRouter(prefix="/audit_log", tags=["accounts"], dependencies=[AdminOnly])


def _filter(
    account: Annotated[str | None, Query(description="Whose key it was", max_length=64)] = None,
    key: Annotated[str | None, Query(description="The key's id", max_length=64)] = None,
    operation: Annotated[str | None, Query(description="The `operationId`", max_length=64)] = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
) -> AuditFilter:
    return AuditFilter(account, key, operation, created_after, created_before)


Chosen = Annotated[AuditFilter, Depends(_filter)]
Entries = Page[AuditEntry]


@router.get("", summary="List changes", responses=errors(400, 422))
async def list_audit_log(session: Reading, chosen: Chosen, limit: Limit = 20, cursor: Cursor = None) -> Entries:
    """Every request that changed something, newest first: written together with the change, or not at all."""
    rows = await AuditRepository(session).page(limit + 1, cursor, *chosen.conditions())
    more, following = next_cursor(rows, limit)
    return Page(data=[render.audit_entry(row) for row in rows[:limit]], has_more=more, next_cursor=following)
