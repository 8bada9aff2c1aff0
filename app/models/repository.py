"""Every SQL statement about registered models (what inspections do stands in `app.inspections`)."""

from typing import Any

from sqlalchemy import select, update

from app.contract.states import InspectionState
from app.db.owned import OwnedRepository
from app.db.tables import Model


class ModelRepository(OwnedRepository[Model]):
    table = Model

    async def awaited_of(self, job_id: str) -> list[Model]:
        """Return the models that wait for this job's student."""
        query = select(Model).where(Model.job_id == job_id, Model.state == InspectionState.AWAITED.value)
        return list(await self.session.scalars(query))

    async def end_awaiting(self, job_id: str, values: dict[str, Any]) -> None:
        """Change the models that wait for this job's student."""
        awaited = (Model.job_id == job_id, Model.state == InspectionState.AWAITED.value)
        await self.session.execute(update(Model).where(*awaited).values(version=Model.version + 1, **values))
