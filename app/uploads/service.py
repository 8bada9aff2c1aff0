"""The rules of uploads that take several requests. `reception` takes in their bytes."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Gone, InvalidRequest, NotFound
from app.contract.limits import Limits
from app.db.base import db_now, new_id
from app.db.tables import Upload
from app.files import service as files
from app.files.repository import FileRepository
from app.limits.service import NONE, admit_upload
from app.store import Blob
from app.uploads.repository import UploadRepository


@dataclass(frozen=True)
class Announced:
    """What is said of a file before its bytes come."""

    name: str
    size: int
    sha256: str | None
    described: str | None
    """Upload-Metadata as it came."""


async def declare(
    session: AsyncSession, tenant: str, announced: Announced, seconds: float, limits: Limits = NONE
) -> Upload:
    """Begin an upload; it is a file at once where the tenant has one of these bytes already. Raises QuotaExceeded."""
    if announced.size == 0:
        raise InvalidRequest("the file is empty")
    row = Upload(id=new_id("upl"), tenant_id=tenant, expires_at=db_now(seconds), **vars(announced))
    if announced.sha256 and await FileRepository(session).with_content(tenant, announced.sha256, announced.size):
        upload = await UploadRepository(session).add(row)
        return await finish(session, upload, Blob(announced.sha256, announced.size))
    await admit_upload(session, tenant, announced.size, limits)
    upload = await UploadRepository(session).add(row)
    await session.refresh(upload)
    return upload


async def get(session: AsyncSession, tenant: str, upload_id: str) -> Upload:
    """Return an upload. Raises NotFound; Gone with the reason for one that is over without a file."""
    upload = await UploadRepository(session).get(tenant, upload_id)
    if upload is None:
        raise NotFound(f"there is no upload {upload_id}")
    if upload.ended is not None:
        raise Gone(f"the upload is over: {upload.ended}; start a new one")
    if upload.file_id is None and upload.expires_at <= datetime.now(UTC):
        raise Gone(f"the upload expired at {upload.expires_at:%Y-%m-%d %H:%M:%S} UTC; start a new one")
    return upload


async def finish(session: AsyncSession, upload: Upload, blob: Blob) -> Upload:
    """Make a file of the upload, whose bytes are in the store now."""
    file = await files.register(session, upload.tenant_id, upload.name, blob)
    return await UploadRepository(session).change(upload, file_id=file.id)
