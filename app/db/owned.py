"""The statements that every tenant-owned table has in common."""

from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import (
    Account,
    ApiKey,
    Artifact,
    AuditEntry,
    Dataset,
    File,
    Job,
    Model,
    Upload,
    Webhook,
    WebhookDelivery,
)

Row = TypeVar("Row", File, Upload, Model, Dataset, Job, Artifact, Webhook, WebhookDelivery)
ListedRow = TypeVar(
    "ListedRow", File, Upload, Model, Dataset, Job, Artifact, Webhook, WebhookDelivery, Account, ApiKey, AuditEntry
)
VersionedRow = TypeVar("VersionedRow", Model, Dataset, Job, Webhook)


class OwnedRepository(Generic[Row]):
    """Rows of one table, always seen through their tenant."""

    table: type[Row]

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, tenant: str, row_id: str) -> Row | None:
        query = select(self.table).where(self.table.tenant_id == tenant, self.table.id == row_id)
        return (await self.session.scalars(query)).one_or_none()

    async def page(self, tenant: str, limit: int, before: str | None, *conditions: ColumnElement[bool]) -> list[Row]:
        """Return up to `limit` rows, newest first, older than the id `before`."""
        return await newest(self.session, self.table, limit, before, self.table.tenant_id == tenant, *conditions)

    async def add(self, row: Row) -> Row:
        self.session.add(row)
        await self.session.flush()
        return row


async def newest(
    session: AsyncSession, table: type[ListedRow], limit: int, before: str | None, *conditions: ColumnElement[bool]
) -> list[ListedRow]:
    """Return up to `limit` rows, newest first, older than the id `before`."""
    query = select(table).where(*conditions)
    if before:
        query = query.where(table.id < before)
    return list(await session.scalars(query.order_by(table.id.desc()).limit(limit)))


async def change(session: AsyncSession, row: VersionedRow, expected: int, **values: Any) -> bool:
    """Change a row if its version is still the expected one."""
    table = type(row)
    statement = update(table).where(table.id == row.id, table.version == expected)
    changed = await session.execute(statement.values(version=expected + 1, **values).returning(table.id))
    if changed.scalar_one_or_none() is None:
        return False
    await session.refresh(row)
    return True
