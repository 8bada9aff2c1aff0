"""Every SQL statement about what an account has of what is limited."""

from collections.abc import Collection

from sqlalchemy import Select, delete, func, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.states import JobState
from app.db.base import db_now
from app.db.tables import Account, Artifact, File, Job, Reservation, Upload, Webhook

_OPEN = (Upload.file_id.is_(None), Upload.ended.is_(None))


class UsageRepository:
    """Of one account."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session, self._tenant = session, tenant

    async def lock(self) -> None:
        """Have others wait that would use up what is counted now, until this transaction ends.

        PostgreSQL locks the account's row; on SQLite whoever writes is alone anyway.
        """
        row = select(Account.id).where(Account.id == self._tenant)
        await self._session.execute(row.with_for_update(key_share=True))

    async def stored_bytes(self) -> int:
        """Return the bytes of files and results, equal ones once, and those that are announced or held."""
        files = select(File.sha256, File.size).where(File.tenant_id == self._tenant)
        results = select(Artifact.sha256, Artifact.size).where(Artifact.tenant_id == self._tenant)
        stored = union(files, results).subquery()
        announced = select(Upload.size).where(Upload.tenant_id == self._tenant, *_OPEN, Upload.expires_at > db_now())
        held = select(Reservation.size).where(Reservation.tenant_id == self._tenant, Reservation.expires_at > db_now())
        columns = (stored.c.size, announced.subquery().c.size, held.subquery().c.size)
        sums = [select(func.coalesce(func.sum(column), 0)).scalar_subquery() for column in columns]
        return int(await self._session.scalar(select(sums[0] + sums[1] + sums[2])) or 0)

    async def unfinished_uploads(self) -> int:
        mine = (Upload.tenant_id == self._tenant, *_OPEN, Upload.expires_at > db_now())
        return await self._count(select(func.count()).select_from(Upload).where(*mine))

    async def jobs(self, states: Collection[JobState]) -> int:
        """Return how many jobs are in one of these states."""
        mine = (Job.tenant_id == self._tenant, Job.state.in_([state.value for state in states]))
        return await self._count(select(func.count()).select_from(Job).where(*mine))

    async def webhooks(self) -> int:
        return await self._count(select(func.count()).select_from(Webhook).where(Webhook.tenant_id == self._tenant))

    async def _count(self, query: Select[int]) -> int:
        return int(await self._session.scalar(query) or 0)

    async def hold(self, reservation: str, size: int, seconds: float) -> None:
        row = Reservation(id=reservation, tenant_id=self._tenant, size=size, expires_at=db_now(seconds))
        self._session.add(row)
        await self._session.flush()

    async def release(self, reservation: str) -> None:
        """Give back what is held under this id, and what nobody holds any more; locks."""
        await self.lock()
        gone = (Reservation.id == reservation) | (Reservation.expires_at < db_now())
        await self._session.execute(delete(Reservation).where(Reservation.tenant_id == self._tenant, gone))
