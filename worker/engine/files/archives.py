"""Files of a .zip, .tar or .tar.gz archive, one after another; nothing goes to disk under a name of the archive's.

Sizes are counted while reading and never believed; links, devices and names that lead elsewhere are refused.
"""

import gzip
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal

from worker.engine.failures import Refused
from worker.engine.files.names import encodable
from worker.engine.files.zip_entries import PLAIN, read_entries

_CHUNK = 2**16
_LONGEST_READ = 2**20
"""Of tarfile, which reads an extended header whole, however long it says that it is."""
_BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, ValueError, NotImplementedError,
    RecursionError,  # thousands of extended headers, of which each says something of the next
)  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What is read of one archive."""

    entries: int = 500_000
    entry_bytes: int = 64 * 2**20
    total_bytes: int = 64 * 2**30
    """Decompressed."""


def archive_form(path: Path) -> Literal["zip", "tar"] | None:
    """Return what the file starts like (.tar.gz counts as tar), or None."""
    form = _form(path)
    return "tar" if form == "gz" else form


def read_files(
    path: Path, limits: Limits | None = None, wanted: Callable[[str], bool] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each file, in the archive's order; desktops' own files are passed over. Raises Refused.

    Names are relative, with forward slashes, and each comes once. `wanted` is asked of each; by default all are.
    """
    for name, pieces in _files(path, limits or Limits(), wanted or (lambda _: True)):
        yield name, b"".join(pieces)


def copy_files(path: Path, limits: Limits, target: Callable[[str], Path | None]) -> Iterator[Path]:
    """Write those files to disk for which `target` tells a path, and yield each path afterwards. Raises Refused."""
    for name, pieces in _files(path, limits, lambda name: target(name) is not None):
        copy = target(name)
        assert copy
        with copy.open("xb") as file:
            file.writelines(pieces)
        yield copy


def _files(path: Path, limits: Limits, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield name and pieces of each wanted file; the pieces must be read before the next one."""
    seen: set[str] = set()
    files = _zip_files(path, limits) if _form(path) == "zip" else _tar_files(path, limits)
    meter = _Meter(limits)
    with _damage_told():
        for written, opened in files:
            name = _checked_name(written)
            if name in seen:
                raise Refused(f"The archive holds {name!r} twice.")
            seen.add(name)
            if _is_litter(name) or not wanted(name):
                continue
            with opened as file:
                yield name, meter.pieces(file, name)


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise Refused(f"The archive is cut short or damaged ({error}).") from error


def _form(path: Path) -> Literal["zip", "tar", "gz"] | None:
    with path.open("rb") as file:
        head = file.read(512)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\x1f\x8b"):
        return "gz"
    return "tar" if head[257:262] == b"ustar" else None


def _zip_files(path: Path, limits: Limits) -> Iterator[tuple[str, AbstractContextManager[IO[bytes]]]]:
    entries = read_entries(path, limits.entries)
    with zipfile.ZipFile(path) as archive:
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise Refused(f"The archive's {entry.filename!r} is a link or a device: refused.")
            if entry.compress_type not in PLAIN:
                raise Refused(f"The archive's {entry.filename!r} is packed otherwise than by deflate: refused.")
            if not entry.is_dir():
                yield entry.filename, archive.open(entry)


def _tar_files(path: Path, limits: Limits) -> Iterator[tuple[str, AbstractContextManager[IO[bytes]]]]:
    with ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        stream = stack.enter_context(gzip.GzipFile(fileobj=raw)) if _form(path) == "gz" else raw
        bounded = _Bounded(stream, limits.total_bytes)
        archive = stack.enter_context(tarfile.open(mode="r:", fileobj=bounded))  # type: ignore[call-overload]  # enough
        for number, member in enumerate(archive):
            if number >= limits.entries:
                raise Refused(f"The archive has more than {limits.entries:,} entries, which is all that are read.")
            if not (member.isdir() or (member.isreg() and not member.issparse())):
                raise Refused(f"The archive's {member.name!r} is a link or a device: refused.")
            opened = archive.extractfile(member)
            if opened is not None:
                yield member.name, opened
        if bounded.at_end:
            raise Refused("The archive is cut short: the mark of its end is missing.")
        while bounded.read(_CHUNK):
            pass  # gzip compares its checksum only at the end


class _Bounded:
    """A stream of which only so many bytes are ever read, in pieces of a bounded size."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile, limit: int) -> None:
        self._file, self._limit = file, limit
        self.at_end = False
        """Whether the last read found nothing more."""

    def read(self, size: int) -> bytes:
        if size > _LONGEST_READ:
            raise Refused(f"The archive has a header that claims {size:,} bytes: refused.")
        content = self._file.read(size)
        self._check(self._file.tell())
        self.at_end = not content
        return content

    def seek(self, place: int) -> int:
        self._check(place)
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()

    def _check(self, place: int) -> None:
        if place > self._limit:
            raise Refused(f"The archive holds more than {self._limit:,} bytes when decompressed.")


class _Meter:
    """Counts what is read, of each file and of all."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._total = limits, 0

    def pieces(self, file: IO[bytes], name: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raises Refused where there are too many."""
        size, limits = 0, self._limits
        with _damage_told():
            while piece := file.read(_CHUNK):
                size, self._total = size + len(piece), self._total + len(piece)
                if size > limits.entry_bytes:
                    raise Refused(
                        f"The archive's {name!r} has more than {limits.entry_bytes:,} bytes when decompressed."
                    )
                if self._total > limits.total_bytes:
                    raise Refused(f"The archive holds more than {limits.total_bytes:,} bytes when decompressed.")
                yield piece


def _checked_name(name: str) -> str:
    if not encodable(name):
        raise Refused(f"The archive holds a file named {name!r}, which is not UTF-8: refused.")
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or name.startswith("/") or re.search(r"[\\\x00-\x1f\x7f]|^[A-Za-z]:", name):
        raise Refused(f"The archive holds a file named {name!r}, which leads out of its folder or is no name: refused.")
    return "/".join(parts)


def _is_litter(name: str) -> bool:
    parts = name.split("/")
    return "__MACOSX" in parts or parts[-1].startswith(".") or parts[-1] in {"Thumbs.db", "desktop.ini"}
