"""The bytes of unfinished uploads on this host's disk: one file each, named by the upload's id.

The file's size is the offset, so that nothing can disagree with it after a crash. Its lock is the kernel's (flock): one
writer at a time among all processes of this host, and none is left behind by a process that dies.
"""

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.contract.disks import FULL
from app.contract.errors import Locked, PayloadTooLarge, ServiceUnavailable, StorageFull
from app.settings import Settings
from app.store import CHUNK, in_thread, refuse_when_full


class Partial:
    """The file of one upload, locked: nobody else writes to it or removes it."""

    def __init__(self, path: Path, descriptor: int, floor: int) -> None:
        self.path = path
        self.size = os.fstat(descriptor).st_size
        self._descriptor, self._floor = descriptor, floor

    async def append(
        self, chunks: AsyncIterator[bytes], limit: int, see: Callable[[bytes], object] | None = None
    ) -> None:
        """Write a stream at the end; `see` is called with each piece.

        Raises PayloadTooLarge before a piece that reaches beyond `limit` bytes, StorageFull, ServiceUnavailable.
        """
        checked = self.size - CHUNK
        async for chunk in chunks:
            if self.size + len(chunk) > limit:
                raise PayloadTooLarge(f"the upload was announced with {limit} bytes, and more came")
            if self.size - checked >= CHUNK:
                refuse_when_full(self.path.parent, self._floor)
                checked = self.size
            await in_thread(self._write, chunk)
            if see:
                see(chunk)

    def _write(self, chunk: bytes) -> None:
        view = memoryview(chunk)
        with _outages():
            while view:
                written = os.write(self._descriptor, view)
                self.size, view = self.size + written, view[written:]

    async def cut(self, size: int) -> None:
        """Forget what comes after `size` bytes."""
        if size < self.size:
            with _outages():
                await in_thread(os.truncate, self._descriptor, size)
            self.size = size

    async def keep(self) -> None:
        """Return once all of it would survive a power cut."""
        with _outages():
            await in_thread(os.fsync, self._descriptor)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


class Partials:
    """All files of unfinished uploads."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data / "uploads"
        self._floor = settings.free_space_floor_bytes

    def size(self, upload_id: str) -> int:
        """Return how many bytes of an upload are here."""
        try:
            return (self._folder / upload_id).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def locked(self, upload_id: str) -> Iterator[Partial]:
        """Yield the upload's file, made where there is none. Raises Locked while another request holds it."""
        path = self._folder / upload_id
        with _outages():
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
            yield Partial(path, descriptor, self._floor)
        finally:
            os.close(descriptor)

    def drop(self, upload_id: str) -> bool:
        """Remove an upload's bytes, unless a request is at work on them; return whether they went."""
        try:
            with self.locked(upload_id) as partial:
                partial.remove()
        except Locked:
            return False
        return True

    def refuse_when_full(self, size: int) -> None:
        """Raise StorageFull where an upload of `size` bytes has no room."""
        self._folder.mkdir(parents=True, exist_ok=True)
        refuse_when_full(self._folder, self._floor, size)

    def names(self) -> list[str]:
        """Return the ids of all uploads that have a file here."""
        with suppress(FileNotFoundError):
            return [path.name for path in self._folder.iterdir()]
        return []


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Locked("another request is at work on this upload; ask again for its offset") from error


@contextmanager
def _outages() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise StorageFull("the disk for unfinished uploads is full") from error
        raise ServiceUnavailable(f"the disk for unfinished uploads cannot be used: {error.strerror}") from error
