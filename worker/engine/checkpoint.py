"""Checkpoints and finished runs: written whole or not at all, each with its SHA-256 beside, the last two kept."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from app.contract.learnt import KEPT, seal_line, seal_of
from worker.engine.failures import Refused
from worker.engine.files import tensor_file

_MAX_HEADER_BYTES = 256 * 2**20
"""Our own files carry curves in their headers."""


class Corrupt(Exception):
    """A file that is not what was written."""


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one."""
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Rename a file that is on disk to its name, and make the renaming last."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def seal(path: Path, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> str:
    """Write tensors and numbers, and the SHA-256 beside; return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        tensor_file.write(temporary, tensors, {"numbers": json.dumps(numbers)})
        sha256 = digest(temporary)
        write_bytes(seal_of(path), seal_line(path, sha256).encode())
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return sha256


def unseal(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what `seal` wrote. Raises Corrupt where the bytes are others."""
    try:
        intact = seal_of(path).read_text().split()[0] == digest(path)
        tensors, metadata = tensor_file.load(path, _MAX_HEADER_BYTES)
    except (OSError, IndexError, UnicodeDecodeError, Refused) as error:
        raise Corrupt(path.name) from error
    if not intact:
        raise Corrupt(path.name)
    return tensors, json.loads(metadata["numbers"])


@dataclass(frozen=True)
class Found:
    """What is left of a training: tensors and numbers of its newest intact checkpoint (empty where there is none)."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]
    corrupt: list[str]
    """Names of damaged files that were passed over."""
    elsewhere: str = ""
    """What it was made on, where that was not what we run on."""


class Checkpoints:
    """A job's checkpoints. `fingerprint` names the work: files of other work in the same folder are passed over.

    `made_on` is what bit-exactness depends on: torch, threads, device.
    """

    def __init__(self, folder: Path, fingerprint: str, made_on: str) -> None:
        self._folder, self._fingerprint, self._made_on = folder, fingerprint, made_on

    def save(self, name: str, step: int, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> str:
        """Write a checkpoint of a training and remove all but its last two; return its SHA-256."""
        path = self._folder / f"{name}-{step:012}.safetensors"
        about = {"fingerprint": self._fingerprint, "made_on": self._made_on}
        sha256 = seal(path, tensors, {**numbers, **about})
        self._forget(self._newest_first(name)[KEPT:])
        return sha256

    def load(self, name: str) -> Found:
        """Return the newest intact checkpoint of a training."""
        corrupt = []
        for path in self._newest_first(name):
            try:
                tensors, numbers = unseal(path)
            except Corrupt:
                corrupt.append(path.name)
                continue
            if numbers["fingerprint"] == self._fingerprint:
                made_on = numbers["made_on"]
                return Found(tensors, numbers, corrupt, made_on if made_on != self._made_on else "")
        return Found({}, {}, corrupt)

    def clear(self, name: str) -> None:
        """Remove the checkpoints of a training that is done."""
        self._forget(self._newest_first(name))

    def _newest_first(self, name: str) -> list[Path]:
        return sorted(self._folder.glob(f"{name}-*.safetensors"), reverse=True)

    @staticmethod
    def _forget(paths: list[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
            seal_of(path).unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")
