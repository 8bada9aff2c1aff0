"""The rules of what jobs have learnt, as far as it lies in the store for other hosts.

Only the holder of a job's lease writes here. What is over loses it (`app.jobs.gate`), a retry takes it over.
"""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.checkpoints.repository import CheckpointRepository
from app.contract.learnt import needed
from app.db.tables import Checkpoint
from app.jobs import leases
from app.jobs.leases import Lease
from app.store import Blob


async def find(session: AsyncSession, lease: Lease) -> Sequence[Checkpoint]:
    """Return what the store holds of a leased job. Raises LeaseLost."""
    await leases.hold(session, lease)
    return await CheckpointRepository(session).of(lease.job_id)


async def keep(session: AsyncSession, lease: Lease, name: str, blob: Blob) -> None:
    """Note a stored file, and forget those that it makes needless. Raises LeaseLost."""
    await leases.hold(session, lease)
    repository = CheckpointRepository(session)
    row = Checkpoint(
        job_id=lease.job_id, name=name, tenant_id=lease.tenant_id, sha256=blob.sha256, size=blob.size,
        attempt=lease.attempt,
    )  # fmt: skip
    await repository.put(row)
    names = {row.name for row in await repository.of(lease.job_id)}
    await repository.remove(lease.job_id, names.difference(needed(names)))


async def withdraw(session: AsyncSession, lease: Lease, name: str) -> None:
    """Forget a file that cannot be used. Raises LeaseLost."""
    await leases.hold(session, lease)
    await CheckpointRepository(session).remove(lease.job_id, [name])
