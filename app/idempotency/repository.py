"""Every SQL statement about idempotency keys."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import IdempotencyKey


class IdempotencyRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def reserve(self, tenant: str, key: str, fingerprint: str) -> bool:
        """Insert the key; False where it is there. Waits for a transaction that is just inserting the same."""
        dialect = postgresql if self.session.get_bind().dialect.name == "postgresql" else sqlite
        statement = dialect.insert(IdempotencyKey).values(tenant_id=tenant, key=key, fingerprint=fingerprint)
        inserted = await self.session.execute(statement.on_conflict_do_nothing().returning(IdempotencyKey.key))
        return inserted.scalar_one_or_none() is not None

    async def get(self, tenant: str, key: str) -> IdempotencyKey:
        query = select(IdempotencyKey).where(IdempotencyKey.tenant_id == tenant, IdempotencyKey.key == key)
        return (await self.session.scalars(query)).one()

    async def complete(self, tenant: str, key: str, status: int, body: dict[str, Any]) -> None:
        mine = (IdempotencyKey.tenant_id == tenant, IdempotencyKey.key == key)
        await self.session.execute(update(IdempotencyKey).where(*mine).values(status=status, body=body))
