"""A file on its way out: hashed and counted while it is read, so that it is read only once."""

import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path


class HashedFile(io.FileIO):
    """A file that knows the SHA-256 of what was read since its start, and tells how far it has come."""

    def __init__(self, path: Path, progress: Callable[[int], object]) -> None:
        """`progress` is called with the number of bytes read so far."""
        super().__init__(path, "rb")
        self.size = os.fstat(self.fileno()).st_size
        self._digest = hashlib.sha256()
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(-1 if size is None else size) or b""
        self._digest.update(chunk)
        self._progress(self.tell())
        return chunk

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        position = super().seek(offset, whence)
        if position == 0:  # sent again from the start
            self._digest = hashlib.sha256()
        return position

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
