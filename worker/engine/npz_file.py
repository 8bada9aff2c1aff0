"""Arrays of a .npz file, without pickles, and never more bytes than the archive's directory and a limit allow."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from worker.engine.failures import Refused
from worker.engine.zip_entries import read_entries

MAX_BYTES = 4 * 2**30
"""Of all arrays together, decompressed."""


def load(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[np.generic]]:
    """Return name -> array. Raises Refused."""
    entries = read_entries(path)
    total = sum(entry.file_size for entry in entries)
    if total > max_bytes:
        raise Refused(f"The arrays take {total:,} bytes when decompressed; at most {max_bytes:,} are read.")
    names = [entry.filename.removesuffix(".npy") for entry in entries]
    if len(set(names)) < len(names):
        raise Refused(f"The archive names the array {max(names, key=names.count)!r} twice.")
    with zipfile.ZipFile(path) as archive:
        return {name: _read(archive, entry) for name, entry in zip(names, entries, strict=True)}


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> NDArray[np.generic]:
    try:
        with archive.open(entry) as file:
            return _read_array(file, entry)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise Refused(f"The array {entry.filename!r} is damaged ({error}).") from error


def _read_array(file: IO[bytes], entry: zipfile.ZipInfo) -> NDArray[np.generic]:
    version = npy.read_magic(file)
    if version not in {(1, 0), (2, 0)}:
        raise Refused(f"The array {entry.filename!r} is in an unknown version of the npy format.")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, columns_first, dtype = read_header(file)
    if dtype.hasobject:
        raise Refused(f"The array {entry.filename!r} holds Python objects, which would have to be unpickled: refused.")
    # The header's shape must not make us reserve more than the directory admitted to.
    size = math.prod(shape) * dtype.itemsize
    if size > entry.file_size:
        raise Refused(f"The array {entry.filename!r} is cut short: its shape {shape} takes {size:,} bytes.")
    array = np.empty(math.prod(shape), dtype)
    if size:
        _fill(file, array.view(np.uint8).data, entry.filename)
    return array.reshape(shape, order="F" if columns_first else "C")


def _fill(file: IO[bytes], buffer: memoryview, name: str) -> None:
    filled = 0
    while filled < len(buffer):
        count = file.readinto(buffer[filled : filled + 2**20])  # type: ignore[attr-defined]
        if not count:
            raise Refused(f"The array {name!r} is cut short: {filled:,} of {len(buffer):,} bytes are there.")
        filled += count
