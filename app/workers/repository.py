"""Every SQL statement about workers. They belong to the installation, not to a tenant."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.states import LEASED
from app.contract.workers import Role
from app.db.base import db_now
from app.db.tables import Job, Worker


class Held(NamedTuple):
    """A job that a worker is at."""

    slot: str
    """`<worker's name>/<process id>`"""
    job: str
    tenant: str


class WorkerRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, worker_id: str) -> Worker | None:
        return await self.session.get(Worker, worker_id)

    async def all(self) -> Sequence[Worker]:
        return (await self.session.scalars(select(Worker).order_by(Worker.id))).all()

    async def silent(self, seconds: float) -> set[str]:
        """Return the ids of those not heard of for so long."""
        return set(await self.session.scalars(select(Worker.id).where(Worker.seen_at < db_now(-seconds))))

    async def devices_of_those_who_take_jobs(self, lost_after: float) -> list[list[str]]:
        """Return what each of them has who was heard of in so many seconds."""
        query = select(Worker.devices).where(Worker.seen_at >= db_now(-lost_after))
        query = query.where(Worker.role == Role.DISTILL, Worker.drain.is_(None))
        return list(await self.session.scalars(query))

    async def jobs(self) -> list[Held]:
        """Return each job that has a worker."""
        live = Job.state.in_([state.value for state in LEASED])
        rows = await self.session.execute(select(Job.worker, Job.id, Job.tenant_id).where(live).order_by(Job.id))
        return [Held(row.worker, row.id, row.tenant_id) for row in rows if row.worker]

    async def see(self, worker_id: str, device_use: list[dict[str, Any]]) -> bool:
        """Note that a worker is there, and how its devices are used; False where it is not known."""
        seen = update(Worker).where(Worker.id == worker_id).values(seen_at=db_now(), device_use=device_use)
        statement = seen.returning(Worker.id)
        return (await self.session.execute(statement)).scalar_one_or_none() is not None

    async def set_drain(self, worker_id: str, running: str | None) -> None:
        await self.session.execute(update(Worker).where(Worker.id == worker_id).values(drain=running))

    async def forget(self, *, worker_id: str | None = None, silent_for: float = 0.0) -> int:
        """Remove one, or all that were not heard of for so long; return how many."""
        which = Worker.id == worker_id if worker_id else Worker.seen_at < db_now(-silent_for)
        return len((await self.session.scalars(delete(Worker).where(which).returning(Worker.id))).all())
