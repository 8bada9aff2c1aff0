"""Retention: a dry run that says what is due, and the pass that removes it, by the same rules."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.retention import Removal
from app.db.session import Database
from app.retention.repository import RetentionRepository, Rule, rules
from app.settings import Settings

_SHOWN = 10
_AT_ONCE = 200
"""Rows that one transaction removes: each may take thousands of events along."""


async def due(session: AsyncSession, settings: Settings, tenant: str | None) -> list[Removal]:
    """Return what the rules would remove now of a tenant (None: of all); also kinds of which nothing is due."""
    return [await _due(RetentionRepository(session), rule, tenant) for rule in rules(settings)]


async def _due(repository: RetentionRepository, rule: Rule, tenant: str | None) -> Removal:
    count, size = await repository.total(rule, tenant)
    first = await repository.first(rule, _SHOWN, tenant) if count else []
    return Removal(kind=rule.kind, reason=rule.reason, count=count, bytes=size, first=first)


async def remove(database: Database, rule: Rule) -> int:
    """Remove all that is due by a rule, of every tenant; return how many rows."""
    removed = 0
    while True:
        async with database.transaction() as session:
            gone = await RetentionRepository(session).remove(rule, _AT_ONCE)
        removed += gone
        if gone == 0:
            return removed
