"""A file or folder on its way out: hashed and counted while it is read, so that it is read only once."""

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence

from stillhouse.packing import Piece, Stored, length

_CHUNK = 2**18


class Outgoing(io.RawIOBase):
    """Pieces one after another, as a file that knows the SHA-256 of what was read since its start."""

    def __init__(self, pieces: Sequence[Piece], progress: Callable[[int], object], start: int = 0) -> None:
        """`progress` is called with the number of bytes read so far, those before `start` included."""
        super().__init__()
        self.size = sum(map(length, pieces)) - start
        self._pieces, self._progress, self._start = pieces, progress, start
        self._waiting, self._position = b"", 0
        self._begin()

    def read(self, size: int | None = -1, /) -> bytes:
        while (size is None or size < 0 or len(self._waiting) < size) and (chunk := next(self._chunks, b"")):
            self._waiting += chunk
        found = self._waiting if size is None or size < 0 else self._waiting[:size]
        self._waiting = self._waiting[len(found) :]
        self._digest.update(found)
        self._position += len(found)
        self._progress(self._start + self._position)
        return found

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to the start, to be sent again, or for a moment to the end, to be measured."""
        if whence == os.SEEK_END:
            return self.size
        if offset == 0 and self._position:
            self._begin()
        return offset

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def _begin(self) -> None:
        self._chunks = _chunks(self._pieces, self._start)
        self._waiting, self._position = b"", 0
        self._digest = hashlib.sha256()


def _chunks(pieces: Sequence[Piece], start: int) -> Iterator[bytes]:
    """Yield what comes after `start` bytes; never an empty chunk, which would look like the end."""
    for piece in pieces:
        skipped = min(start, length(piece))
        start, left = start - skipped, length(piece) - skipped
        if left and isinstance(piece, bytes):
            yield piece[skipped:]
        elif left and isinstance(piece, Stored):
            yield from _read(piece, skipped, left)


def _read(piece: Stored, skipped: int, left: int) -> Iterator[bytes]:
    with piece.path.open("rb") as file:
        file.seek(skipped)
        while left and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
    if left:
        raise OSError(f"{piece.path} became shorter while it was being sent")
