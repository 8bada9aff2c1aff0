"""Every SQL statement about the soft targets that hosts share."""

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.base import db_now
from app.db.tables import SoftTargets


class SoftTargetRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def use(self, tenant: str, keys: Sequence[str]) -> Sequence[SoftTargets]:
        """Return what there is under these keys, and note that it was asked for."""
        mine = SoftTargets.tenant_id == tenant, SoftTargets.key.in_(keys)
        await self._session.execute(update(SoftTargets).where(*mine).values(used_at=db_now()))
        return (await self._session.scalars(select(SoftTargets).where(*mine))).all()

    async def add(self, row: SoftTargets) -> None:
        """Add a row, unless another host was quicker."""
        try:
            async with self._session.begin_nested():
                self._session.add(row)
        except IntegrityError:
            return

    async def remove(self, tenant: str, key: str, sha256: str) -> None:
        """Forget bytes that cannot be used."""
        mine = SoftTargets.tenant_id == tenant, SoftTargets.key == key, SoftTargets.sha256 == sha256
        await self._session.execute(delete(SoftTargets).where(*mine))
