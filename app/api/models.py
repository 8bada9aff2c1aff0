"""/v1/models: registered networks."""

from typing import Annotated

from fastapi import APIRouter, Body, Response

from app.api import render
from app.api.cursor import next_cursor
from app.api.dependencies import Cursor, ExpectedVersion, IdempotencyKey, Limit, Reading, SettingsDep, Tenant, Writing
from app.api.once import answer_once
from app.api.parameters import ModelId, SpareModelId
from app.api.responses import errors
from app.contract.resources import Model, ModelCreate, Page, RegisteredChange
from app.models import service
from app.models.repository import ModelRepository
from app.registry import service as registry
from app.samples import service as samples

router = APIRouter(prefix="/models", tags=["models"])
_EXAMPLE = {
    "iris": {
        "summary": "A small MLP",
        "value": {
            "file": samples.TEACHER_FILE,
            "architecture": {"kind": "mlp", "inputs": 4, "hidden": [32], "classes": 3},
            "name": "my teacher",
        },
    }
}
_CHANGE = {"rename": {"summary": "Another name", "value": {"name": "iris teacher"}}}


@router.post(
    "", status_code=201, response_model=Model, summary="Register a model", responses=errors(400, 409, 413, 422)
)
async def create_model(
    wanted: Annotated[ModelCreate, Body(openapi_examples=_EXAMPLE)],
    tenant: Tenant,
    session: Writing,
    settings: SettingsDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Register uploaded weights as a network of an architecture. They are inspected next: watch `state`."""

    async def act() -> Model:
        return render.model(await service.register(session, tenant, wanted, settings.max_parameters))

    return await answer_once(session, tenant, idempotency_key, wanted, act)


@router.get("", summary="List models", responses=errors(400, 422))
async def list_models(tenant: Tenant, session: Reading, limit: Limit = 20, cursor: Cursor = None) -> Page[Model]:
    """Registered models, newest first."""
    rows = await ModelRepository(session).page(tenant, limit + 1, cursor)
    more, following = next_cursor(rows, limit)
    return Page(data=[render.model(row) for row in rows[:limit]], has_more=more, next_cursor=following)


@router.get("/{model_id}", summary="Show a model", responses=errors(404))
async def get_model(model_id: ModelId, tenant: Tenant, session: Reading, response: Response) -> Model:
    """The model with its `inspection`: tensors, parameters, and what does not fit."""
    row = await registry.get(ModelRepository(session), tenant, model_id)
    response.headers["ETag"] = f'"{row.version}"'
    return render.model(row)


@router.patch("/{model_id}", summary="Change a model", responses=errors(400, 404, 412, 413, 422))
async def update_model(
    model_id: ModelId,
    wanted: Annotated[RegisteredChange, Body(openapi_examples=_CHANGE)],
    tenant: Tenant,
    session: Writing,
    response: Response,
    expected: ExpectedVersion,
) -> Model:
    """Change the model's name, or pin it: retention leaves what is pinned alone."""
    row = await registry.change(ModelRepository(session), tenant, model_id, wanted, expected)
    response.headers["ETag"] = f'"{row.version}"'
    return render.model(row)


@router.delete("/{model_id}", status_code=204, summary="Delete a model", responses=errors(404, 409))
async def delete_model(model_id: SpareModelId, tenant: Tenant, session: Writing) -> None:
    """Forget a model that no job names."""
    await registry.delete(ModelRepository(session), tenant, model_id)
