"""/v1/uploads: uploads that go on after a broken connection or a crash, by the tus protocol."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from app.api import render, tus
from app.api.cursor import next_cursor
from app.api.dependencies import (
    ChangesDep,
    Cursor,
    DatabaseDep,
    Limit,
    LimitsDep,
    Reading,
    SettingsDep,
    StoreDep,
    Tenant,
    Writing,
)
from app.api.parameters import SpareUploadId, UploadId
from app.api.responses import errors
from app.contract.errors import UnsupportedMediaType
from app.contract.resources import Page, Upload
from app.limits.service import refuse_too_large
from app.samples import service as samples
from app.uploads import service
from app.uploads.checksum import Checksum
from app.uploads.reception import Part, Reception
from app.uploads.repository import UploadRepository

router = APIRouter(prefix="/uploads", tags=["uploads"])
_BYTES = {
    "requestBody": {
        "required": True,
        "content": {tus.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _reception(database: DatabaseDep, store: StoreDep, settings: SettingsDep, changes: ChangesDep) -> Reception:
    return Reception(database, store, settings, changes.transaction)


ReceptionDep = Annotated[Reception, Depends(_reception)]


def _example(value: str) -> Any:
    return {"sample": {"summary": "of the sample teacher", "value": value}}


@router.options("", status_code=204, summary="Tell what uploads can do", responses=errors())
@router.options("/{upload_id}", status_code=204, include_in_schema=False)
async def describe_uploads(response: Response, limits: LimitsDep) -> None:
    """Extensions of tus, algorithms of checksums, and the largest file, as headers."""
    response.headers.update(tus.capabilities(limits.upload_bytes))


@router.post(
    "",
    status_code=201,
    summary="Declare an upload",
    responses=errors(400, 409, 412, 413, 422, 507),
    dependencies=[tus.SpeaksTus],
)
async def create_upload(
    request: Request,
    response: Response,
    tenant: Tenant,
    session: Writing,
    settings: SettingsDep,
    limits: LimitsDep,
    reception: ReceptionDep,
    length: Annotated[
        int,
        Header(
            alias="Upload-Length", ge=0, description="Bytes of the file", openapi_examples=_example(str(samples.SIZE))
        ),
    ],
    metadata: Annotated[
        str | None,
        Header(
            alias="Upload-Metadata",
            description="Keys with values in base64; `filename` and `sha256` mean something here.",
            openapi_examples=_example(samples.DESCRIBED),
        ),
    ] = None,
) -> Upload:
    """Say what is to come; `Location` names the upload, to which PATCH adds bytes.

    Its bytes count as stored from now on, until the upload ends or expires. With a `sha256` they are compared at the
    end; if you own a file of these bytes already, the upload is whole at once (`Upload-Offset` says so), and `file`
    names a new file of them.
    """
    refuse_too_large(length, limits)
    wanted = tus.announced(length, metadata)
    upload = await service.declare(session, tenant, wanted, settings.upload_seconds, limits)
    if upload.file_id is None:
        reception.refuse_when_full(length)
    response.headers.update(tus.headers_of(upload, reception.offset(upload)))
    response.headers["Location"] = f"{request.scope.get('root_path', '').rstrip('/')}/v1/uploads/{upload.id}"
    return render.upload(upload, reception.offset(upload))


@router.get("", summary="List unfinished uploads", responses=errors(400, 422))
async def list_uploads(
    tenant: Tenant,
    session: Reading,
    reception: ReceptionDep,
    sha256: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$", description="Only those announced so")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[Upload]:
    """Uploads that can be gone on with, newest first."""
    rows = await UploadRepository(session).unfinished(tenant, limit + 1, cursor, sha256)
    more, following = next_cursor(rows, limit)
    shown = [render.upload(row, reception.offset(row)) for row in rows[:limit]]
    return Page(data=shown, has_more=more, next_cursor=following)


@router.get(
    "/{upload_id}",
    summary="Show an upload",
    responses=errors(404, 410, 412, 423),
    dependencies=[tus.SpeaksTus],
)
async def get_upload(upload_id: UploadId, tenant: Tenant, reception: ReceptionDep, response: Response) -> Upload:
    """How far it is: in the body, and for HEAD in `Upload-Offset`. Once it is whole, `file` names the file."""
    upload = await reception.look(tenant, upload_id)
    response.headers.update(tus.headers_of(upload, reception.offset(upload)))
    return render.upload(upload, reception.offset(upload))


@router.patch(
    "/{upload_id}",
    status_code=204,
    summary="Add bytes to an upload",
    openapi_extra=_BYTES,
    responses=errors(400, 404, 409, 410, 412, 413, 415, 422, 423, 460, 507),
    dependencies=[tus.SpeaksTus],
)
async def append_to_upload(
    upload_id: UploadId,
    request: Request,
    response: Response,
    tenant: Tenant,
    settings: SettingsDep,
    reception: ReceptionDep,
    offset: Annotated[
        int,
        Header(
            alias="Upload-Offset",
            ge=0,
            description="Bytes that are there already, as GET and HEAD say",
            openapi_examples=_example("0"),
        ),
    ],
    checksum: Annotated[
        str | None,
        Header(alias="Upload-Checksum", description="`sha1`, `sha256` or `sha512` of this request's bytes, in base64"),
    ] = None,
    content_length: Annotated[int | None, Header(include_in_schema=False)] = None,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> None:
    """Send the rest of the file, or a piece of it. What came before a connection broke stays; ask GET, and go on.

    The last byte makes it a file: `Stillhouse-File` in the answer is its id.
    """
    if content_type.split(";")[0].strip().lower() != tus.MEDIA_TYPE:
        raise UnsupportedMediaType(f"send the bytes as {tus.MEDIA_TYPE}")
    announced = Checksum.parse(checksum) if checksum else None
    part = Part(offset, tus.body(request, settings.upload_silence_seconds), content_length, announced)
    upload = await reception.take(tenant, upload_id, part)
    response.headers.update(tus.headers_of(upload, reception.offset(upload)))


@router.delete(
    "/{upload_id}",
    status_code=204,
    summary="End an upload",
    responses=errors(404, 410, 412, 423),
    dependencies=[tus.SpeaksTus],
)
async def delete_upload(upload_id: SpareUploadId, tenant: Tenant, reception: ReceptionDep) -> None:
    """Forget an upload and the bytes that came; a file that it has become stays."""
    await reception.end(tenant, upload_id)
