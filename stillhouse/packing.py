"""What is sent of a file, or of a Hugging Face folder: a .tar archive of it that is never written anywhere."""

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.contract.registration import PAPERS, WEIGHTS


@dataclass(frozen=True)
class Stored:
    """A file's bytes."""

    path: Path
    size: int


Piece = bytes | Stored


def length(piece: Piece) -> int:
    """Return the number of bytes of a piece."""
    return len(piece) if isinstance(piece, bytes) else piece.size


def pieces_of(source: Path) -> list[Piece]:
    """Return what is sent of a file, or of a folder. Raises FileNotFoundError."""
    return _archive(source) if source.is_dir() else [_stored(source)]


def _archive(folder: Path) -> list[Piece]:
    """Return the pieces of an archive: of the same files always the same bytes, so that the service knows them."""
    pieces: list[Piece] = []
    for name in _wanted(folder):
        held = _stored(folder / name)
        header = tarfile.TarInfo(name)
        header.size, header.mode = held.size, 0o644
        pieces += [header.tobuf(tarfile.GNU_FORMAT), held, bytes(-held.size % tarfile.BLOCKSIZE)]
    return [*pieces, bytes(2 * tarfile.BLOCKSIZE)]


def _wanted(folder: Path) -> Sequence[str]:
    """Return the names of the files that the service reads, small ones first. Raises FileNotFoundError."""
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder} is no Hugging Face folder: it has no config.json")
    papers = sorted(name for name in PAPERS if (folder / name).is_file())
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    forms = ([name for name in names if form.fullmatch(name)] for form in WEIGHTS)
    return [*papers, *next(filter(None, forms), [])]


def _stored(path: Path) -> Stored:
    return Stored(path, path.stat().st_size)
