"""Takes in the bytes of uploads, whoever dies meanwhile, and makes files of those that are whole.

Bytes go to the disk (fsync), then the row; at the end the blob into the store, then the row that makes it a file, then
the partial bytes are removed. After a crash at any point the next request goes on from what is there.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Conflict, DigestMismatch, PayloadTooLarge, StorageFull
from app.db.base import db_now
from app.db.session import Database
from app.db.tables import Upload
from app.files.service import check
from app.settings import Settings
from app.store import Store
from app.uploads import service
from app.uploads.checksum import Checksum
from app.uploads.partial import Partial, Partials
from app.uploads.repository import UploadRepository


@dataclass(frozen=True)
class Part:
    """What one request adds."""

    offset: int
    chunks: AsyncIterator[bytes]
    length: int | None = None
    """Bytes that are to come, where it was said."""
    checksum: Checksum | None = None


Transaction = Callable[[], AbstractAsyncContextManager[AsyncSession]]


class Reception:
    """The bytes' side of uploads."""

    def __init__(self, database: Database, store: Store, settings: Settings, noted: Transaction | None = None) -> None:
        """`noted`: the kind of transaction for what a request changes in the end, where that is written down."""
        self._database, self._store = database, store
        self._noted = noted or database.transaction
        self._seconds = settings.upload_seconds
        self._partials = Partials(settings)

    def offset(self, upload: Upload) -> int:
        """Return how many bytes of an upload are here to stay."""
        if upload.file_id is not None:
            return upload.size
        here = self._partials.size(upload.id)
        return here if upload.unchecked_from is None else min(here, upload.unchecked_from)

    def refuse_when_full(self, size: int) -> None:
        """Raise StorageFull where `size` bytes would have no room."""
        self._partials.refuse_when_full(size)

    async def look(self, tenant: str, upload_id: str) -> Upload:
        """Return an upload; if all of its bytes are here, it is a file then. Raises NotFound, Gone, Locked."""
        upload = await self._find(tenant, upload_id)
        if upload.file_id is not None or self.offset(upload) < upload.size:
            return upload
        with self._partials.locked(upload_id) as partial:  # a crash came between the last byte and the file
            return await self._finish(await self._find(tenant, upload_id), partial)

    async def take(self, tenant: str, upload_id: str, part: Part) -> Upload:
        """Add what a request brings, and make a file of the upload when it is whole.

        What came before a connection broke stays; of a request with a checksum all bytes count, or none. Raises
        NotFound, Gone, Locked, Conflict for another offset, PayloadTooLarge, ChecksumMismatch, DigestMismatch (the
        upload is over then), StorageFull (same), ServiceUnavailable.
        """
        upload = await self._find(tenant, upload_id)
        if upload.file_id is not None:
            _refuse(upload, upload.size, part)
            return upload
        with self._partials.locked(upload_id) as partial:
            upload = await self._begin(tenant, upload_id, partial, part)
            upload = await self._append(upload, partial, part)
            return await self._finish(upload, partial)

    async def end(self, tenant: str, upload_id: str) -> None:
        """Forget an upload and its bytes; a file that came of it stays. Raises NotFound, Gone, Locked."""
        await self._find(tenant, upload_id)  # before a file is made for its lock
        with self._partials.locked(upload_id) as partial:
            await self._end(await self._find(tenant, upload_id), "it was ended by a request", partial)

    async def sweep(self) -> int:
        """Remove the bytes of uploads that are over, and rows long after their expiry; return how many had bytes."""
        names = self._partials.names()
        async with self._database.reading() as session:
            needed = await UploadRepository(session).open_among(names)
        removed = sum(self._partials.drop(name) for name in names if name not in needed)
        async with self._database.transaction() as session:
            # Rows stay as long again as they lived: a late client hears 410 and why.
            await UploadRepository(session).delete_expired(self._seconds)
        return removed

    async def _find(self, tenant: str, upload_id: str) -> Upload:
        async with self._database.reading() as session:
            return await service.get(session, tenant, upload_id)

    async def _begin(self, tenant: str, upload_id: str, partial: Partial, part: Part) -> Upload:
        upload = await self._find(tenant, upload_id)
        if upload.unchecked_from is not None:  # whoever wrote these died before it could check them
            await partial.cut(upload.unchecked_from)
        _refuse(upload, partial.size, part)
        unchecked_from = partial.size if part.checksum else None
        if upload.unchecked_from == unchecked_from:
            return upload
        return await self._change(self._database.transaction, upload, unchecked_from=unchecked_from)

    async def _append(self, upload: Upload, partial: Partial, part: Part) -> Upload:
        start = partial.size
        try:
            await _write(partial, upload.size, part)
        except StorageFull as full:
            await self._end(upload, full.detail, partial)
            raise
        except BaseException:  # a broken connection, a stop of the service
            if part.checksum:
                await partial.cut(start)
            await self._keep(upload, partial)
            raise
        return await self._keep(upload, partial)

    async def _keep(self, upload: Upload, partial: Partial) -> Upload:
        await partial.keep()
        # The last piece is written down with the file that comes of it.
        within = self._noted if partial.size < upload.size else self._database.transaction
        return await self._change(within, upload, unchecked_from=None, expires_at=db_now(self._seconds))

    async def _finish(self, upload: Upload, partial: Partial) -> Upload:
        """Make a file of an upload whose bytes are all here; leave others as they are."""
        if upload.file_id is not None or partial.size < upload.size:
            return upload
        try:
            blob = await self._store.adopt(partial.path, lambda blob: check(blob, upload.sha256))
        except DigestMismatch as wrong:
            await self._end(upload, wrong.detail, partial)
            raise
        async with self._noted() as session:
            upload = await service.finish(session, upload, blob)
        partial.remove()
        return upload

    async def _end(self, upload: Upload, why: str, partial: Partial) -> None:
        await self._change(self._noted, upload, ended=why)
        partial.remove()

    async def _change(self, within: Transaction, upload: Upload, **values: Any) -> Upload:
        async with within() as session:
            return await UploadRepository(session).change(upload, **values)


def _refuse(upload: Upload, offset: int, part: Part) -> None:
    """Raise Conflict for a part that does not begin at the offset, PayloadTooLarge for one that is too long."""
    if part.offset != offset:
        raise Conflict(f"the upload is at offset {offset}, not {part.offset}")
    if offset + (part.length or 0) > upload.size:
        raise PayloadTooLarge(f"{part.length} bytes at offset {offset} are more than the {upload.size} announced")


async def _write(partial: Partial, limit: int, part: Part) -> None:
    if part.checksum is None:
        await partial.append(part.chunks, limit)
    else:
        await partial.append(part.chunks, limit, part.checksum.add)
        part.checksum.check()
