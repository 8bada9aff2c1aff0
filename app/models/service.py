"""The rules of registered models."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract import reading
from app.contract.architectures import Family
from app.contract.errors import InvalidRequest, Problem
from app.contract.registration import HuggingFace
from app.contract.resources import ModelCreate
from app.contract.states import InspectionState
from app.db.base import new_id
from app.db.tables import Model
from app.models import students
from app.models.repository import ModelRepository
from app.registry import service as registry


async def register(session: AsyncSession, tenant: str, request: ModelCreate, max_parameters: int) -> Model:
    """Register uploaded weights, or a job's student.

    Raises InvalidRequest where file or job cannot be used, the network is too large, or does not go with its
    preprocessing or class names.
    """
    if request.job:
        return await students.register(session, tenant, request.job, request.name)
    assert request.file  # the contract wants a file with its architecture where there is no job
    assert request.architecture
    file = await registry.require_file(session, tenant, request.file)
    if not isinstance(request.architecture, HuggingFace):
        _check(request, request.architecture, max_parameters)
    model = Model(
        id=new_id("mdl"),
        tenant_id=tenant,
        name=request.name or file.name[:200],
        file_id=file.id,
        state=InspectionState.UPLOADED.value,
        architecture=request.architecture.model_dump(mode="json"),
        key_map=request.key_map,
        preprocessing=request.preprocessing.model_dump(mode="json") if request.preprocessing else None,
        class_names=list(request.class_names) if request.class_names else None,
    )
    return await registry.register(ModelRepository(session), model)


def _check(request: ModelCreate, architecture: Family, max_parameters: int) -> None:
    size = architecture.size()
    if size is not None and size > max_parameters:
        detail = f"this architecture has {size:,} parameters; this service takes up to {max_parameters:,}"
        raise InvalidRequest(detail, [Problem(pointer="/architecture", detail=detail)])
    # A file may say itself how its network reads: where nothing is given, the inspection looks.
    given = request.preprocessing
    if given and (refusal := reading.refusal_of_trained(architecture, given)):
        raise InvalidRequest(refusal, [Problem(pointer="/preprocessing", detail=refusal)])
    if request.class_names and len(request.class_names) != architecture.classes:
        detail = f"{len(request.class_names):,} names for the architecture's {architecture.classes:,} classes"
        raise InvalidRequest(detail, [Problem(pointer="/class_names", detail=detail)])
