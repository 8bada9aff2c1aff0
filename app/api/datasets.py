"""/v1/datasets: transfer sets."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from app.api import render
from app.api.cursor import next_cursor
from app.api.dependencies import Cursor, ExpectedVersion, IdempotencyKey, Limit, Reading, Tenant, Writing
from app.api.once import answer_once
from app.api.parameters import DatasetId, SpareDatasetId
from app.api.responses import errors
from app.contract.resources import Dataset, DatasetCreate, Page, RegisteredChange
from app.datasets import service
from app.datasets.repository import DatasetRepository
from app.registry import service as registry
from app.samples import service as samples

router = APIRouter(prefix="/datasets", tags=["datasets"])
_EXAMPLE = {
    "iris": {
        "summary": "Arrays in one file",
        "value": {"file": samples.DATA_FILE, "name": "my irises"},
    }
}
_CHANGE = {"rename": {"summary": "Another name", "value": {"name": "irises"}}}


@router.post(
    "",
    status_code=201,
    response_model=Dataset,
    summary="Register a transfer set",
    responses=errors(400, 409, 413, 422),
)
async def create_dataset(
    wanted: Annotated[DatasetCreate, Body(openapi_examples=_EXAMPLE)],
    tenant: Tenant,
    session: Writing,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Register an uploaded file as a transfer set. It is inspected next: watch `state`."""

    async def act() -> Dataset:
        return render.dataset(await service.register(session, tenant, wanted))

    return await answer_once(session, tenant, idempotency_key, wanted, act)


@router.get("", summary="List transfer sets", responses=errors(400, 422))
async def list_datasets(tenant: Tenant, session: Reading, limit: Limit = 20, cursor: Cursor = None) -> Page[Dataset]:
    """Registered transfer sets, newest first."""
    rows = await DatasetRepository(session).page(tenant, limit + 1, cursor)
    more, following = next_cursor(rows, limit)
    return Page(data=[render.dataset(row) for row in rows[:limit]], has_more=more, next_cursor=following)


@router.get("/{dataset_id}", summary="Show a transfer set", responses=errors(404))
async def get_dataset(dataset_id: DatasetId, tenant: Tenant, session: Reading, response: Response) -> Dataset:
    """The transfer set with its `inspection`: rows, classes, splits, a small preview."""
    row = await registry.get(DatasetRepository(session), tenant, dataset_id)
    response.headers["ETag"] = f'"{row.version}"'
    return render.dataset(row)


@router.patch("/{dataset_id}", summary="Change a transfer set", responses=errors(400, 404, 412, 413, 422))
async def update_dataset(
    dataset_id: DatasetId,
    wanted: Annotated[RegisteredChange, Body(openapi_examples=_CHANGE)],
    tenant: Tenant,
    session: Writing,
    response: Response,
    expected: ExpectedVersion,
) -> Dataset:
    """Change the transfer set's name, or pin it: retention leaves what is pinned alone."""
    row = await registry.change(DatasetRepository(session), tenant, dataset_id, wanted, expected)
    response.headers["ETag"] = f'"{row.version}"'
    return render.dataset(row)


@router.delete("/{dataset_id}", status_code=204, summary="Delete a transfer set", responses=errors(404, 409))
async def delete_dataset(dataset_id: SpareDatasetId, tenant: Tenant, session: Writing) -> None:
    """Forget a transfer set that no job names."""
    await registry.delete(DatasetRepository(session), tenant, dataset_id)
