"""The rules of soft targets that hosts share: the first puts them there, who finds them damaged takes them away."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables import SoftTargets
from app.soft_targets.repository import SoftTargetRepository
from app.store import Blob


async def find(session: AsyncSession, tenant: str, keys: Sequence[str]) -> dict[str, SoftTargets]:
    """Return what there is under these keys; it is kept for a while longer."""
    return {row.key: row for row in await SoftTargetRepository(session).use(tenant, keys)}


async def publish(session: AsyncSession, tenant: str, key: str, name: str, blob: Blob) -> None:
    """Offer stored bytes to all hosts."""
    row = SoftTargets(tenant_id=tenant, key=key, name=name, sha256=blob.sha256, size=blob.size)
    await SoftTargetRepository(session).add(row)


async def withdraw(session: AsyncSession, row: SoftTargets) -> None:
    """Take away what cannot be used: the next job that computes it offers it anew."""
    await SoftTargetRepository(session).remove(row.tenant_id, row.key, row.sha256)
