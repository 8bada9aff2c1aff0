"""Who does the work: workers say that they are there, and are told when they shall take no more jobs."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.devices import Devices
from app.contract.errors import Conflict, NotFound
from app.contract.workers import DeviceUse, Role, Running, Worker, WorkerState
from app.db import tables
from app.workers.repository import Held, WorkerRepository

_FORGOTTEN_SECONDS = 24 * 3600.0


async def listed(session: AsyncSession, lost_after: float, tenant: str | None = None) -> list[Worker]:
    """Return all workers, each with its jobs (of all tenants, or one); not heard of for `lost_after` seconds: lost."""
    repository = WorkerRepository(session)
    lost, jobs = await repository.silent(lost_after), await repository.jobs()
    return [_shown(row, jobs, tenant, lost=row.id in lost) for row in await repository.all()]


async def walls(session: AsyncSession, lost_after: float) -> list[list[str]]:
    """Return the layers of the sandbox of each worker that is heard of."""
    repository = WorkerRepository(session)
    lost = await repository.silent(lost_after)
    return [row.sandbox for row in await repository.all() if row.id not in lost]


async def most_devices(session: AsyncSession, lost_after: float) -> Devices:
    """Return the most devices that a job could get from any worker that takes jobs; none where there is none."""
    found = await WorkerRepository(session).devices_of_those_who_take_jobs(lost_after)
    return Devices.best(map(Devices.of_worker, found))


async def drain(session: AsyncSession, worker_id: str, running: Running, lost_after: float) -> Worker:
    """Have a worker take no more jobs. Safe to repeat; `checkpoint` after `finish` does not wait for them any more.

    Raises NotFound, Conflict where it is lost.
    """
    row = await _listening(session, worker_id, lost_after)
    return await _wish(session, row, "checkpoint" if row.drain == "checkpoint" else running)


async def undrain(session: AsyncSession, worker_id: str, lost_after: float) -> Worker:
    """Have a worker take jobs again. Safe to repeat. Raises NotFound, Conflict where it is lost."""
    return await _wish(session, await _listening(session, worker_id, lost_after), None)


async def _listening(session: AsyncSession, worker_id: str, lost_after: float) -> tables.Worker:
    repository = WorkerRepository(session)
    row = await repository.get(worker_id)
    if row is None:
        raise NotFound(f"there is no worker {worker_id}")
    if row.role != Role.DISTILL:
        raise Conflict(f"a {row.role} worker takes no jobs: it can be stopped at any time")
    if row.id in await repository.silent(lost_after):
        raise Conflict("the worker is lost: nobody hears the wish")
    return row


async def _wish(session: AsyncSession, row: tables.Worker, running: str | None) -> Worker:
    repository = WorkerRepository(session)
    await repository.set_drain(row.id, running)
    await session.refresh(row)
    return _shown(row, await repository.jobs(), None, lost=False)


async def beat(session: AsyncSession, me: tables.Worker) -> str | None:
    """Note that a worker is there, and how its devices are used; return how it is to be drained, or None."""
    repository = WorkerRepository(session)
    if await repository.see(me.id, me.device_use or []):
        row = await repository.get(me.id)
        return row.drain if row else None
    known = ("id", "name", "role", "devices", "device_use", "sandbox", "slots")
    session.add(tables.Worker(**{field: value for field in known if (value := getattr(me, field)) is not None}))
    return None


async def leave(session: AsyncSession, worker_id: str) -> None:
    """Forget a worker that has come to its end."""
    await WorkerRepository(session).forget(worker_id=worker_id)


async def forget_lost(session: AsyncSession) -> int:
    """Forget workers that were lost long ago."""
    return await WorkerRepository(session).forget(silent_for=_FORGOTTEN_SECONDS)


def _shown(row: tables.Worker, held: list[Held], tenant: str | None, *, lost: bool) -> Worker:
    mine = [one for one in held if one.slot.rpartition("/")[0] == row.name]
    return Worker(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        state=_state(row, mine, lost=lost),
        devices=row.devices,
        device_use=[DeviceUse.model_validate(use) for use in row.device_use],
        sandbox=row.sandbox,
        slots=row.slots,
        jobs=[one.job for one in mine if tenant in {None, one.tenant}],
        started_at=row.started_at,
        seen_at=row.seen_at,
    )


def _state(row: tables.Worker, jobs: list[Held], *, lost: bool) -> WorkerState:
    if lost:
        return WorkerState.LOST
    if row.drain is None:
        return WorkerState.READY
    return WorkerState.DRAINING if jobs else WorkerState.DRAINED
