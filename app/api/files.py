"""/v1/files: uploads in one request."""

from typing import Annotated

from fastapi import APIRouter, Body, Header, Request

from app.api import render
from app.api.dependencies import ChangesDep, DatabaseDep, LimitsDep, Reading, StoreDep, Tenant, Writing
from app.api.multipart import FileForm
from app.api.parameters import FileId, SpareFileId
from app.api.responses import errors
from app.contract.resources import File, FileChange
from app.files import service
from app.limits.holding import Holding
from app.limits.service import refuse_too_large

router = APIRouter(prefix="/files", tags=["files"])
_CHANGE = {"pin": {"summary": "Keep it", "value": {"pinned": True}}}
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "sha256": {"type": "string", "description": "Announced SHA-256 in hex; compared at the end."},
                        "file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    }
}


@router.post(
    "",
    status_code=201,
    summary="Upload a file",
    openapi_extra=_FORM,
    responses=errors(400, 409, 413, 415, 422, 503, 507),
)
async def create_file(
    request: Request,
    tenant: Tenant,
    changes: ChangesDep,
    store: StoreDep,
    database: DatabaseDep,
    limits: LimitsDep,
    content_length: Annotated[int | None, Header(include_in_schema=False)] = None,
) -> File:
    """Upload weights or a transfer set as multipart/form-data, part `file`.

    The bytes are hashed while they stream in; with the field `sha256` they are compared with what you announced. An
    upload that is cut short leaves nothing behind.
    """
    slack = 64 * 1024  # the form around the file
    most = content_length or 0
    least = max(0, most - slack)
    largest = refuse_too_large(least, limits)
    form = FileForm(request)
    announced = form.fields  # filled while the form comes in
    async with Holding(database, tenant, least, most, limits) as holding:
        blob = await store.put(
            holding.counted(form.chunks()), largest, lambda blob: service.check(blob, announced.get("sha256"))
        )
        async with changes.transaction() as session:
            await holding.settle(session, blob)
            return render.file(await service.register(session, tenant, form.filename, blob))


@router.get("/{file_id}", summary="Show a file", responses=errors(404))
async def get_file(file_id: FileId, tenant: Tenant, session: Reading) -> File:
    """Name, size and hash of an uploaded file."""
    return render.file(await service.get(session, tenant, file_id))


@router.patch("/{file_id}", summary="Change a file", responses=errors(400, 404, 413, 422))
async def update_file(
    file_id: FileId, wanted: Annotated[FileChange, Body(openapi_examples=_CHANGE)], tenant: Tenant, session: Writing
) -> File:
    """Pin a file, or unpin it: retention leaves what is pinned alone."""
    return render.file(await service.change(session, tenant, file_id, wanted))


@router.delete("/{file_id}", status_code=204, summary="Delete a file", responses=errors(404, 409))
async def delete_file(file_id: SpareFileId, tenant: Tenant, session: Writing) -> None:
    """Forget a file that no model or data set is made from."""
    await service.delete(session, tenant, file_id)
