"""Every SQL statement about what jobs have learnt, as far as it lies in the store."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import Checkpoint


class CheckpointRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, job_id: str) -> Sequence[Checkpoint]:
        query = select(Checkpoint).where(Checkpoint.job_id == job_id)
        return (await self._session.scalars(query.order_by(Checkpoint.name))).all()

    async def put(self, row: Checkpoint) -> None:
        """Add a row, in the place of one of the same name."""
        await self.remove(row.job_id, [row.name])
        self._session.add(row)
        await self._session.flush()

    async def remove(self, job_id: str, names: Collection[str]) -> None:
        mine = Checkpoint.job_id == job_id, Checkpoint.name.in_(names)
        await self._session.execute(delete(Checkpoint).where(*mine))

    async def clear(self, job_id: str) -> None:
        await self._session.execute(delete(Checkpoint).where(Checkpoint.job_id == job_id))

    async def hand_over(self, job_id: str, heir: str) -> None:
        """Make what a job had learnt another's."""
        await self._session.execute(update(Checkpoint).where(Checkpoint.job_id == job_id).values(job_id=heir))
