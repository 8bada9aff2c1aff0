"""Every SQL statement about inspections, of models and transfer sets alike."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.states import InspectionState
from app.db.base import db_now
from app.db.tables import Dataset, Model

Subject = Model | Dataset
TABLES: tuple[type[Model] | type[Dataset], ...] = (Model, Dataset)


class InspectionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def due(self, limit: int) -> Sequence[Subject]:
        """Return what waits for an inspection, and what an inspector left behind; oldest first."""
        found: list[Subject] = []
        for table in TABLES:
            found += await self._session.scalars(select(table).where(_due(table)).order_by(table.id).limit(limit))
        return sorted(found, key=lambda subject: subject.created_at)[:limit]

    async def due_for(self, seconds: float) -> list[str]:
        """Return the ids of what has waited for `seconds`."""
        found: list[str] = []
        for table in TABLES:
            query = select(table.id).where(_due(table), table.created_at < db_now(-seconds))
            found += await self._session.scalars(query)
        return found

    async def claim(self, subject: Subject, seconds: float) -> int | None:
        """Begin an inspection; return its attempt, or None where another was faster."""
        table = type(subject)
        return await self._swap(
            table,
            and_(_due(table), table.attempt == subject.attempt),
            subject.id,
            {
                "state": InspectionState.INSPECTING.value,
                "attempt": subject.attempt + 1,
                "lease_until": db_now(seconds),
            },
        )

    async def renew(self, subject: Subject, attempt: int, seconds: float) -> bool:
        """Extend the inspection `attempt`; False where it was given to another."""
        changes = {"lease_until": db_now(seconds)}
        return await self._swap(type(subject), _current(subject, attempt), subject.id, changes) is not None

    async def give_back(self, subject: Subject, attempt: int) -> bool:
        """Undo the claim `attempt`, uncharged: its holder has stopped and will not write again."""
        changes = {"state": InspectionState.UPLOADED.value, "attempt": attempt - 1, "lease_until": None}
        return await self._swap(type(subject), _current(subject, attempt), subject.id, changes) is not None

    async def finish(self, subject: Subject, attempt: int, values: dict[str, Any]) -> bool:
        """Store the finding of the inspection `attempt`; False where it was given to another."""
        table = type(subject)
        changes = {**values, "lease_until": None, "version": table.version + 1}
        return await self._swap(table, _current(subject, attempt), subject.id, changes) is not None

    async def _swap(
        self, table: type[Model] | type[Dataset], where: ColumnElement[bool], subject_id: str, values: dict[str, Any]
    ) -> int | None:
        statement = update(table).where(table.id == subject_id, where).values(**values).returning(table.attempt)
        return (await self._session.execute(statement)).scalar_one_or_none()


def _current(subject: Subject, attempt: int) -> ColumnElement[bool]:
    table = type(subject)
    return and_(table.attempt == attempt, table.state == InspectionState.INSPECTING)


def _due(table: type[Model] | type[Dataset]) -> ColumnElement[bool]:
    left_behind = and_(table.state == InspectionState.INSPECTING, table.lease_until < db_now())
    return or_(table.state == InspectionState.UPLOADED, left_behind)
