"""The store: bytes under their SHA-256, on local disk or S3, through obstore.

Blocking calls in threads: obstore's own futures can abort an interpreter that exits right after one (0.12.1).

incoming/<id>         while it streams in; never read
blobs/<ab>/<sha256>   complete, checked, and never changed again
aside/<ab>/<sha256>   nothing referred to it any more; taken back if somebody does, else removed a while later
"""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from app.contract.disks import FULL
from app.contract.errors import PayloadTooLarge, ServiceUnavailable, StorageFull
from app.db.base import new_id
from app.settings import Settings

in_thread = asyncio.to_thread
CHUNK = 2**20
_PART = 5 * 2**20
"""The smallest part that S3 takes; two in flight bound the memory of an upload."""
_LISTED = 1000
"""Entries of one answer to a list."""
_SIGNED_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class Blob:
    """What was stored."""

    sha256: str
    size: int


class Area(StrEnum):
    """A folder of the store."""

    INCOMING = "incoming"
    BLOBS = "blobs"
    ASIDE = "aside"


@dataclass(frozen=True)
class Stored:
    """An entry of a list of what there is."""

    area: Area
    name: str
    """The SHA-256, of what has come in whole."""
    path: str
    size: int
    written: datetime


class BlobMissing(Exception):
    """The store does not hold these bytes."""


class BlobCorrupt(Exception):
    """The store's bytes are not those that were put there."""


class Store:
    """Content-addressed blobs. Memory stays bounded whatever their size."""

    def __init__(self, settings: Settings) -> None:
        self._floor = settings.free_space_floor_bytes
        self._local = _local_folder(settings.store)
        self._signs = self._local is None and settings.s3_signed_downloads
        self._store: LocalStore | S3Store = _open_local(self._local) if self._local else _open_s3(settings)

    async def put(self, chunks: AsyncIterator[bytes], limit: int, check: Callable[[Blob], None] | None = None) -> Blob:
        """Store a stream; visible only once it is whole, hashed and on disk, and `check` has let it pass.

        Raises PayloadTooLarge past `limit` bytes, StorageFull, ServiceUnavailable, and what `check` raises.
        """
        incoming = new_id("incoming/in")
        try:
            blob = await self._receive(incoming, chunks, limit)
            if check:
                check(blob)
            await self._settle(incoming, blob.sha256)
        except (BaseError, OSError) as error:
            raise _outage(error) from error
        finally:
            await self._discard(incoming)  # finds nothing once it has settled
        return blob

    async def _receive(self, incoming: str, chunks: AsyncIterator[bytes], limit: int) -> Blob:
        writer = obstore.open_writer(self._store, incoming, buffer_size=_PART, max_concurrency=2)
        digest, size, checked = hashlib.sha256(), 0, -_PART

        def write(chunk: bytes) -> None:
            digest.update(chunk)
            writer.write(chunk)

        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                raise PayloadTooLarge(f"the file is larger than the {limit} bytes allowed")
            if size - checked >= _PART:
                if self._local:
                    refuse_when_full(self._local, self._floor)
                checked = size
            await in_thread(write, chunk)
        await in_thread(writer.close)
        return Blob(digest.hexdigest(), size)

    async def put_file(self, path: Path, check: Callable[[Blob], None] | None = None) -> Blob:
        """Store a file of this host."""
        return await self.put(_read(path), limit=2**63, check=check)

    async def adopt(self, path: Path, check: Callable[[Blob], None]) -> Blob:
        """Store a file that nobody will change any more: without a copy where it lies on a local store's disk.

        The file stays where it is, for the caller to remove. Raises as `put` does.
        """
        incoming = new_id("incoming/in")
        if self._local is None or not await in_thread(_link, path, self._local / incoming):
            return await self.put_file(path, check)
        try:
            blob = await in_thread(_blob_of, path)
            check(blob)
            await self._settle(incoming, blob.sha256)
        except (BaseError, OSError) as error:
            raise _outage(error) from error
        finally:
            await self._discard(incoming)
        return blob

    async def stream(self, sha256: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        """Yield the bytes from `start` up to `end` (exclusive; all by default). Raises BlobMissing."""
        if end is not None and end <= start:
            return
        options: obstore.GetOptions = {"range": (start, end) if end is not None else {"offset": start}}
        try:
            result = await self._open(sha256, options if start or end else None)
            chunks = result.stream(min_chunk_size=CHUNK)
            while (chunk := await in_thread(next, chunks, None)) is not None:
                yield bytes(chunk)
        except (NotFoundError, FileNotFoundError) as error:
            raise BlobMissing(sha256) from error
        except (BaseError, OSError) as error:
            raise _outage(error) from error

    async def _open(self, sha256: str, options: "obstore.GetOptions | None") -> "obstore.GetResult":
        try:
            return await in_thread(obstore.get, self._store, _path(sha256), options=options)
        except (NotFoundError, FileNotFoundError):
            await self.restore(sha256)  # or somebody else does at this moment
        return await in_thread(obstore.get, self._store, _path(sha256), options=options)

    async def fetch(self, sha256: str, path: Path) -> None:
        """Copy a blob to this host's disk and check its hash. Raises BlobMissing, BlobCorrupt."""
        digest = hashlib.sha256()
        async with await anyio.open_file(path, "wb") as file:
            async for chunk in self.stream(sha256):
                digest.update(chunk)
                await file.write(chunk)
        if digest.hexdigest() != sha256:
            raise BlobCorrupt(sha256)

    async def signed_url(self, sha256: str) -> str | None:
        """Return a URL from which a client may fetch the bytes itself, or None where the store has none."""
        if not self._signs or isinstance(self._store, LocalStore):
            return None
        return await in_thread(obstore.sign, self._store, "GET", _path(sha256), _SIGNED_FOR)

    async def listed(self, area: Area) -> AsyncIterator[list[Stored]]:
        """Yield all that there is, many at a time."""
        batches = iter(obstore.list(self._store, prefix=area.value, chunk_size=_LISTED))
        while (batch := await in_thread(next, batches, None)) is not None:
            yield [
                Stored(area, meta["path"].rsplit("/", 1)[-1], meta["path"], meta["size"], meta["last_modified"])
                for meta in batch
            ]

    async def remove(self, stored: Stored) -> None:
        await self._discard(stored.path)

    async def set_aside(self, sha256: str) -> None:
        """Take bytes away that nobody needs; they can be taken back until they are removed."""
        with contextlib.suppress(NotFoundError, FileNotFoundError):  # another janitor was faster
            if self._local:
                os.utime(self._local / _path(sha256))  # how long it lies there counts from now
            await in_thread(obstore.rename, self._store, _path(sha256), _path(sha256, Area.ASIDE))

    async def restore(self, sha256: str) -> None:
        """Take back bytes that were set aside, if they were."""
        with contextlib.suppress(NotFoundError, FileNotFoundError):
            await in_thread(obstore.rename, self._store, _path(sha256, Area.ASIDE), _path(sha256))

    async def reachable(self) -> str | None:
        """Return why the store cannot be used, or None."""
        if self._local and not os.access(self._local, os.W_OK | os.X_OK):
            return f"the folder {self._local} is not there, or cannot be written"
        try:
            await in_thread(obstore.head, self._store, "blobs/probe")
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            return str(error)
        return None

    async def _settle(self, incoming: str, sha256: str) -> None:
        # Renamed over an equal blob on purpose: a fresh time stamp keeps the janitor away from it.
        if self._local:
            await in_thread(_fsync, self._local / incoming)
        await in_thread(obstore.rename, self._store, incoming, _path(sha256))
        if self._local:
            await in_thread(_fsync, (self._local / _path(sha256)).parent)

    async def _discard(self, path: str) -> None:
        with anyio.CancelScope(shield=True):
            with contextlib.suppress(BaseError, OSError):  # the janitor finds what stays behind
                await in_thread(obstore.delete, self._store, path)


def refuse_when_full(folder: Path, floor: int, wanted: int = 0) -> None:
    """Raise StorageFull where less than `floor` bytes would stay free on a folder's disk after `wanted` more."""
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free - wanted < floor:
        raise StorageFull(f"the disk has {free} bytes free, {wanted} more are asked for, and {floor} are kept free")


def _path(sha256: str, area: Area = Area.BLOBS) -> str:
    return f"{area}/{sha256[:2]}/{sha256}"


def _local_folder(url: str) -> Path | None:
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def _open_local(folder: Path) -> LocalStore:
    return LocalStore(folder, mkdir=True)


def _open_s3(settings: Settings) -> S3Store:
    parts = urlsplit(settings.store)
    if parts.scheme != "s3":
        raise ValueError(f"STILLHOUSE_STORE_URL must be s3://bucket/prefix or file:///folder, not {settings.store!r}")
    options = {"endpoint": settings.s3_endpoint} if settings.s3_endpoint else {}
    if settings.s3_access_key_id:
        options |= {
            "access_key_id": settings.s3_access_key_id,
            "secret_access_key": settings.s3_secret_access_key.get_secret_value(),
        }
    return S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        region=settings.s3_region,
        client_options={"allow_http": settings.s3_endpoint.startswith("http://")},
        **options,  # type: ignore[arg-type]
    )


def _outage(error: BaseError | OSError) -> Exception:
    text = str(error)
    if any(f"os error {number}" in text or os.strerror(number) in text for number in FULL):
        return StorageFull("the store's disk is full")
    return ServiceUnavailable(f"the store cannot be used: {text.splitlines()[0]}")


def _link(path: Path, twin: Path) -> bool:
    """Give a file a second name; return False where the two places do not allow it."""
    twin.parent.mkdir(exist_ok=True)
    try:
        twin.hardlink_to(path)
    except OSError:
        return False
    os.utime(path)  # a fresh time stamp keeps the janitor away from it
    return True


def _blob_of(path: Path) -> Blob:
    with path.open("rb") as file:
        return Blob(hashlib.file_digest(file, "sha256").hexdigest(), file.tell())


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


async def _read(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while chunk := await file.read(CHUNK):
            yield chunk
