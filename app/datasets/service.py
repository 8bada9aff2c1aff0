"""The rules of registered transfer sets."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.resources import DatasetCreate
from app.contract.states import InspectionState
from app.datasets.repository import DatasetRepository
from app.db.base import new_id
from app.db.tables import Dataset
from app.registry import service as registry


async def register(session: AsyncSession, tenant: str, request: DatasetCreate) -> Dataset:
    """Register an uploaded file as a transfer set. Raises InvalidRequest where the file is unknown."""
    file = await registry.require_file(session, tenant, request.file)
    dataset = Dataset(
        id=new_id("ds"),
        tenant_id=tenant,
        name=request.name or file.name[:200],
        file_id=file.id,
        state=InspectionState.UPLOADED.value,
        format=request.format.model_dump(mode="json"),
        splits=request.splits.model_dump(mode="json"),
    )
    return await registry.register(DatasetRepository(session), dataset)
