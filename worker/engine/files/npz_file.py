"""Arrays of a .npz file, without pickles, and never more bytes than the archive's directory and a limit allow."""

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from worker.engine.failures import Refused
from worker.engine.files.names import repeated
from worker.engine.files.zip_entries import PLAIN, read_entries

MAX_BYTES = 4 * 2**30
"""Of one array, decompressed."""
MAX_AXES = 64
"""What numpy takes."""
_LONGEST = 2**62
_NAME_LENGTH_AT = 26
"""In the header before each file of a ZIP archive."""


@dataclass(frozen=True)
class Member:
    """One array, by its header."""

    entry: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    columns_first: bool
    header_bytes: int

    @property
    def size(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


def members(path: Path) -> dict[str, Member]:
    """Return name -> array's header. Raises Refused."""
    entries = read_entries(path)
    names = [entry.filename.removesuffix(".npy") for entry in entries]
    if twice := repeated(names):
        raise Refused(f"The archive names the array {twice!r} twice.")
    with zipfile.ZipFile(path) as archive:
        return {name: _member(archive, entry) for name, entry in zip(names, entries, strict=True)}


def load(path: Path, member: Member, max_bytes: int = MAX_BYTES) -> NDArray[np.generic]:
    """Return an array's values. Raises Refused."""
    if member.size > max_bytes:
        text = f"The array {member.entry.filename!r} takes {member.size:,} bytes when decompressed"
        raise Refused(f"{text}; at most {max_bytes:,} are read, unless it is saved uncompressed (numpy.savez).")
    array = np.empty(math.prod(member.shape), member.dtype)
    with zipfile.ZipFile(path) as archive, _reading(archive, member.entry) as file:
        file.read(member.header_bytes)
        if member.size:
            _fill(file, array.view(np.uint8).data, member.entry.filename)
    return array.reshape(member.shape, order="F" if member.columns_first else "C")


def stored_at(path: Path, member: Member) -> int | None:
    """Return where in the file the values lie, row after row and checked; None where they are packed or in columns."""
    if member.entry.compress_type != zipfile.ZIP_STORED or (member.columns_first and len(member.shape) > 1):
        return None
    with zipfile.ZipFile(path) as archive, _reading(archive, member.entry) as file:
        # To the end: only there does zipfile compare the checksum.
        if sum(len(piece) for piece in iter(lambda: file.read(2**20), b"")) < member.header_bytes + member.size:
            raise Refused(f"The array {member.entry.filename!r} is cut short.")
    with path.open("rb") as raw:
        raw.seek(member.entry.header_offset + _NAME_LENGTH_AT)
        name, extra = struct.unpack("<HH", raw.read(4))
    return member.entry.header_offset + _NAME_LENGTH_AT + 4 + int(name) + int(extra) + member.header_bytes


@contextmanager
def _reading(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    try:
        with archive.open(entry) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Refused(f"The array {entry.filename!r} is damaged ({reason}).") from error


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Member:
    if entry.compress_type not in PLAIN:
        raise Refused(f"The array {entry.filename!r} is packed otherwise than by deflate: refused.")
    with _reading(archive, entry) as file:
        version = npy.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            raise Refused(f"The array {entry.filename!r} is in an unknown version of the npy format.")
        member = Member(entry, *_header(file, version), file.tell())
    if member.dtype.hasobject:
        raise Refused(f"The array {entry.filename!r} holds Python objects, which would have to be unpickled: refused.")
    if len(member.shape) > MAX_AXES:
        raise Refused(f"The array {entry.filename!r} has {len(member.shape):,} axes; at most {MAX_AXES} are read.")
    if not all(type(size) is int and 0 <= size < _LONGEST for size in member.shape):
        raise Refused(f"The array {entry.filename!r} has the shape {member.shape}, which none can have.")
    # The header's shape must not make us reserve more than the directory admitted to.
    if member.size > entry.file_size:
        raise Refused(
            f"The array {entry.filename!r} is cut short: its shape {member.shape} takes {member.size:,} bytes."
        )
    return member


def _header(file: IO[bytes], version: tuple[int, int]) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, columns_first, dtype = read_header(file)
    except (MemoryError, RecursionError, SyntaxError, TypeError, tokenize.TokenError) as error:
        # What Python's own parser says of an expression that is nested too deep, or not one.
        raise ValueError(f"its header cannot be parsed: {type(error).__name__}") from error
    return shape, dtype, columns_first


def _fill(file: IO[bytes], buffer: memoryview, name: str) -> None:
    filled = 0
    while filled < len(buffer):
        count = file.readinto(buffer[filled : filled + 2**20])  # type: ignore[attr-defined]
        if not count:
            raise Refused(f"The array {name!r} is cut short: {filled:,} of {len(buffer):,} bytes are there.")
        filled += count
