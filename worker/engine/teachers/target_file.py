"""A file of soft targets that several processes fill and read at once.

<name>.partial while it is being filled, then <name> for good: a safetensors file, its pages mapped into everybody's
memory, of the values and a checksum for each block. How it stays right whatever happens to whom:

- A block is what the teacher says of some consecutive samples in a batch of their own. So its bits do not depend on
  who computes it, nor on that job's batches and order: jobs that meet on a block write the same bytes.
- Values first, then the checksum. A block counts only where its checksum is that of its values, which everybody
  verifies before the first use: half a block, or pages that a dying host wrote in another order, never count.
- Who computes a block holds a lock on it (fcntl), so others take the next one; the kernel lets go of it whatever
  happens to the holder. A lock only spares work: who has waited long enough computes the block too.
- Whoever has the file open shares a lock on the whole of it (flock): only a file that nobody uses is ever removed.
"""

import fcntl
import math
import mmap
import os
import uuid
import weakref
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from worker.engine.failures import Refused
from worker.engine.files import tensor_file

_CHECKS = "checks"
Entries = dict[str, tuple[torch.dtype, Sequence[int]]]
"""Arrays by name, each with dtype and shape; wider dtypes first."""


@dataclass(frozen=True)
class Form:
    """What a file holds."""

    bounds: Sequence[int]
    """Where each block of rows begins; last, how many rows there are."""
    a_row: Entries
    """The arrays, with the shape of one row."""

    @property
    def blocks(self) -> int:
        return len(self.bounds) - 1

    @property
    def entries(self) -> Entries:
        """The arrays as they lie in the file."""
        arrays = {name: (dtype, (self.bounds[-1], *shape)) for name, (dtype, shape) in self.a_row.items()}
        return {_CHECKS: (torch.int32, (self.blocks,)), **arrays}

    def rows_of(self, block: int) -> slice:
        """Return the rows of a block."""
        return slice(self.bounds[block], self.bounds[block + 1])


class TargetFile:
    """One file, for as long as this object lives. `arrays` are its mapped pages, by name."""

    def __init__(self, path: Path, form: Form, about: Mapping[str, str]) -> None:
        """`path`: the name that the whole file has. `about` goes into its header. Raises OSError: no room for it."""
        self._path, self.form = path, form
        self._partial = path.with_name(f"{path.name}.partial")
        self._descriptor = self._open(about)
        weakref.finalize(self, os.close, self._descriptor)
        self._pages = mmap.mmap(self._descriptor, 0)
        self.arrays = self._mapped()
        self._checks_K = self.arrays.pop(_CHECKS)

    def vouched(self, block: int) -> bool:
        """Return whether a block's values are there, and are those that were written."""
        said = int(self._checks_K[block])
        return said != 0 and said == self._checksum(block)

    def begun(self, block: int) -> bool:
        """Return whether somebody has said that a block's values are there."""
        return bool(self._checks_K[block])

    def vouch(self, block: int) -> None:
        """Say that a block's values are there."""
        self._checks_K[block] = self._checksum(block)

    @contextmanager
    def claim(self, block: int) -> Iterator[bool]:
        """Hold a block for as long as this is entered; yields whether no other process does."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, block)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, block)

    def flush(self) -> None:
        """Wait until everything is on disk."""
        self._pages.flush()

    def finish(self) -> None:
        """Give the file, of which every block is there, its name."""
        if _same(self._descriptor, self._partial):
            self.flush()
            with suppress(FileNotFoundError):  # another process has just done it
                self._partial.replace(self._path)

    def _checksum(self, block: int) -> int:
        found, rows = 0, self.form.rows_of(block)
        for array in self.arrays.values():
            found = zlib.crc32(array[rows].data, found)
        return int(np.uint32(found or 1).view(np.int32))  # 0 says that there is nothing

    def _open(self, about: Mapping[str, str]) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            path = self._path if self._path.exists() else self._partial
            try:
                descriptor = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                self._create(about)
                continue
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            # Between opening and locking it may have been removed, or finished by somebody else.
            if _same(descriptor, path):
                if fits(path, self.form):
                    os.utime(path)  # the least recently used ones make room for others
                    return descriptor
                path.unlink(missing_ok=True)
            os.close(descriptor)

    def _create(self, about: Mapping[str, str]) -> None:
        """Make the file, all zeros, unless somebody else is quicker."""
        header, entries = tensor_file.header(self.form.entries, about), self.form.entries.values()
        size = len(header) + sum(dtype.itemsize * math.prod(shape) for dtype, shape in entries)
        temporary = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(header)
                file.flush()
                # Claimed now: a full disk is an error here, and a deadly signal when a mapped page cannot be written.
                os.posix_fallocate(file.fileno(), 0, size)
            with suppress(FileExistsError):
                os.link(temporary, self._partial)
        finally:
            temporary.unlink(missing_ok=True)

    def _mapped(self) -> dict[str, NDArray[Any]]:
        start = 8 + int.from_bytes(self._pages[:8], "little")
        arrays = {}
        for name, (dtype, shape) in self.form.entries.items():
            kind = torch.empty(0, dtype=dtype).numpy().dtype
            found = np.frombuffer(self._pages, kind, math.prod(shape), start)
            arrays[name] = found.reshape(shape)
            start += found.nbytes
        return arrays


def about(path: Path) -> dict[str, str]:
    """Return what a file's header says about it; nothing where it is no such file."""
    try:
        return dict(tensor_file.read_header(path).get("__metadata__", {}))
    except (Refused, OSError):
        return {}


def fits(path: Path, form: Form) -> bool:
    """Return whether a file holds arrays of this form."""
    return _entries_of(path) == {
        name: (tensor_file.NAMES[dtype], list(of)) for name, (dtype, of) in form.entries.items()
    }


def _entries_of(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Return the arrays that a file says it holds; none where it is no such file."""
    try:
        found = tensor_file.outline(path)[0]
    except (Refused, OSError):
        return {}
    return {name: (entry["dtype"], entry["shape"]) for name, entry in found.items()}


def _same(descriptor: int, path: Path) -> bool:
    """Return whether an open file is what lies under that name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    own = os.fstat(descriptor)
    return (own.st_dev, own.st_ino) == (found.st_dev, found.st_ino)
