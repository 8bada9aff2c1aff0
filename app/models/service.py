"""The rules of registered models."""

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract import reading
from app.contract.architectures import Architecture, Family
from app.contract.errors import InvalidRequest, Problem
from app.contract.preprocessing import PREPROCESSING, Preprocessing
from app.contract.resources import ModelCreate
from app.contract.states import InspectionState
from app.db.base import new_id
from app.db.tables import Model
from app.models.repository import ModelRepository
from app.registry import service as registry

_ARCHITECTURE: TypeAdapter[Any] = TypeAdapter(Architecture)


def architecture_of(model: Model) -> Family:
    """Return the model's architecture as the contract's class."""
    architecture: Family = _ARCHITECTURE.validate_python(model.architecture)
    return architecture


def key_map_of(model: Model) -> dict[str, str]:
    """Return the key map in force: the one given, or the one that the inspection found."""
    return dict((model.inspection or {}).get("key_map") or model.key_map or {})


def preprocessing_of(model: Model) -> Preprocessing | None:
    """Return the model's preprocessing as the contract's class."""
    return None if model.preprocessing is None else PREPROCESSING.validate_python(model.preprocessing)


async def register(session: AsyncSession, tenant: str, request: ModelCreate, max_parameters: int) -> Model:
    """Register uploaded weights.

    Raises InvalidRequest where the file is unknown, the network too large, or its preprocessing does not go with it.
    """
    file = await registry.require_file(session, tenant, request.file)
    size = request.architecture.size()
    if size is not None and size > max_parameters:
        detail = f"this architecture has {size:,} parameters; this service takes up to {max_parameters:,}"
        raise InvalidRequest(detail, [Problem(pointer="/architecture", detail=detail)])
    if refusal := reading.refusal_of_trained(request.architecture, request.preprocessing):
        raise InvalidRequest(refusal, [Problem(pointer="/preprocessing", detail=refusal)])
    model = Model(
        id=new_id("mdl"),
        tenant_id=tenant,
        name=request.name or file.name[:200],
        file_id=file.id,
        state=InspectionState.UPLOADED.value,
        architecture=request.architecture.model_dump(mode="json"),
        key_map=request.key_map,
        preprocessing=request.preprocessing.model_dump(mode="json") if request.preprocessing else None,
    )
    return await registry.register(ModelRepository(session), model)
