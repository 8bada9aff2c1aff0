"""Who takes jobs: workers say that they are there, and are told when they shall take no more."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Conflict, NotFound
from app.contract.workers import Running, Worker, WorkerState
from app.db import tables
from app.workers.repository import WorkerRepository

_FORGOTTEN_SECONDS = 24 * 3600.0


async def listed(session: AsyncSession, lost_after: float) -> list[Worker]:
    """Return all workers, each with its jobs; those not heard of for `lost_after` seconds are lost."""
    repository = WorkerRepository(session)
    lost, jobs = await repository.silent(lost_after), await repository.jobs()
    return [_shown(row, jobs, lost=row.id in lost) for row in await repository.all()]


async def drain(session: AsyncSession, worker_id: str, running: Running, lost_after: float) -> Worker:
    """Have a worker take no more jobs. Safe to repeat; `checkpoint` after `finish` does not wait for them any more.

    Raises NotFound, Conflict where it is lost.
    """
    repository = WorkerRepository(session)
    row = await repository.get(worker_id)
    if row is None:
        raise NotFound(f"there is no worker {worker_id}")
    if row.id in await repository.silent(lost_after):
        raise Conflict("the worker is lost: nobody hears the wish")
    if row.drain != "checkpoint":
        await repository.set_drain(worker_id, running)
        await session.refresh(row)
    return _shown(row, await repository.jobs(), lost=False)


async def beat(session: AsyncSession, me: tables.Worker) -> str | None:
    """Note that a worker is there; return how it is to be drained, or None."""
    repository = WorkerRepository(session)
    if await repository.see(me.id):
        row = await repository.get(me.id)
        return row.drain if row else None
    session.add(tables.Worker(id=me.id, name=me.name, devices=me.devices, slots=me.slots))
    return None


async def leave(session: AsyncSession, worker_id: str) -> None:
    """Forget a worker that has come to its end."""
    await WorkerRepository(session).forget(worker_id=worker_id)


async def forget_lost(session: AsyncSession) -> int:
    """Forget workers that were lost long ago."""
    return await WorkerRepository(session).forget(silent_for=_FORGOTTEN_SECONDS)


def _shown(row: tables.Worker, held: list[tuple[str, str]], *, lost: bool) -> Worker:
    jobs = [job for slot, job in held if slot.rpartition("/")[0] == row.name]
    return Worker(
        id=row.id,
        name=row.name,
        state=_state(row, jobs, lost=lost),
        devices=row.devices,
        slots=row.slots,
        jobs=jobs,
        started_at=row.started_at,
        seen_at=row.seen_at,
    )


def _state(row: tables.Worker, jobs: list[str], *, lost: bool) -> WorkerState:
    if lost:
        return WorkerState.LOST
    if row.drain is None:
        return WorkerState.READY
    return WorkerState.DRAINING if jobs else WorkerState.DRAINED
