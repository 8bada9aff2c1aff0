"""The audit log: each change has its row, committed together with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts.callers import Caller
from app.accounts.repository import AuditRepository
from app.db.base import new_id
from app.db.session import Database
from app.db.tables import AuditEntry


@dataclass(frozen=True)
class Request:
    """Who asked for what."""

    caller: Caller
    operation: str
    named: tuple[str, ...] = ()
    """Ids in its path."""
    request_id: str = ""


class Changes:
    """The transactions of a request that changes something."""

    def __init__(self, database: Database, request: Request) -> None:
        self._database, self._request = database, request

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A transaction that is noted in the audit log, with the ids of all rows that it adds."""
        async with self._database.transaction() as session:
            made = _made(session)
            yield session
            await session.flush()
            await AuditRepository(session).add(_entry(self._request, made))


def _made(session: AsyncSession) -> list[str]:
    """Return a list that fills with the ids of what the session adds."""
    made: list[str] = []

    def collect(flushed: Any, _context: Any) -> None:
        made.extend(row.id for row in flushed.new if hasattr(row, "id"))

    event.listen(session.sync_session, "after_flush", collect)
    return made


def _entry(request: Request, made: list[str]) -> AuditEntry:
    return AuditEntry(
        id=new_id("aud"),
        tenant_id=request.caller.tenant,
        key_id=request.caller.key,
        operation=request.operation,
        subjects=[*request.named, *made],
        request_id=request.request_id,
    )
