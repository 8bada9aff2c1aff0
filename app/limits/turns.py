"""Whose turn it is when a worker is free, and who may have no more jobs running.

Within a priority, accounts take turns: first the one with the fewest jobs running, then the one that was served longest
ago, then the oldest job. So nobody's queue, however long, holds up another's.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.contract.states import LEASED
from app.db.base import db_now
from app.db.tables import Account, Job

_LIVE = aliased(Job)
_RUNNING = (
    select(_LIVE.tenant_id, func.count().label("jobs"))
    .where(_LIVE.state.in_([state.value for state in LEASED]))
    .group_by(_LIVE.tenant_id)
    .subquery()
)
_COUNT = func.coalesce(_RUNNING.c.jobs, 0)


@dataclass(frozen=True)
class Turns:
    """Each statement about it. `most`: jobs of one account at once, where it has no limit of its own; 0: any number."""

    most: int = 0

    def _allowed(self) -> ColumnElement[Any]:
        return func.coalesce(Account.limits["running_jobs"].as_float(), self.most)

    def take(self, queued: Select[Job]) -> Select[Job]:
        """Return the same query without those whose account has as many running as it may, in order of turns."""
        query = queued.outerjoin(_RUNNING, _RUNNING.c.tenant_id == Job.tenant_id)
        query = query.outerjoin(Account, Account.id == Job.tenant_id)
        query = query.where(or_(self._allowed() == 0, self._allowed() > _COUNT))
        return query.order_by(Job.priority.desc(), _COUNT, Account.served_at.asc().nulls_first(), Job.id)

    async def full(self, session: AsyncSession, tenants: Collection[str]) -> set[str]:
        """Return which of these accounts have as many running as they may."""
        if not tenants:
            return set()
        query = select(Account.id).join(_RUNNING, _RUNNING.c.tenant_id == Account.id)
        query = query.where(Account.id.in_(tenants), self._allowed() > 0, self._allowed() <= _COUNT)
        return set(await session.scalars(query))

    async def lock(self, session: AsyncSession, tenants: Collection[str]) -> bool:
        """Have other claims wait that would take jobs of those of these accounts that have a limit; whether any has.

        In one order, so that claims cannot wait for one another. On SQLite a claim is alone anyway.
        """
        query = select(Account.id).where(Account.id.in_(tenants), self._allowed() > 0).order_by(Account.id)
        return bool((await session.scalars(query.with_for_update(key_share=True))).all())

    async def note(self, session: AsyncSession, tenant: str) -> None:
        """Note that the account has had its turn."""
        await session.execute(update(Account).where(Account.id == tenant).values(served_at=db_now()))


FREE = Turns()
