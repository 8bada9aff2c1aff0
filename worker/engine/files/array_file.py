"""The arrays of a .safetensors or .npz file: their shapes at once, their values when they are asked for."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from worker.engine.failures import Refused
from worker.engine.files import npz_file, tensor_file
from worker.engine.files.file_kinds import recognise
from worker.engine.files.row_file import RowFile


@dataclass(frozen=True)
class StoredArray:
    """One array of a file."""

    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], Tensor]
    """Return all values. Raises Refused."""
    rows: Callable[[], RowFile | None]
    """Return its rows to be read one by one, or None where they do not lie in order in the file. Raises Refused."""


def arrays_of(path: Path) -> tuple[Literal["safetensors", "npz"], dict[str, StoredArray]]:
    """Return the file's kind and its arrays by name. Raises Refused."""
    kind = recognise(path)
    if kind.name == "safetensors":
        return "safetensors", _of_safetensors(path)
    if kind.name == "npz":
        return "npz", {name: _of_npz(path, name, member) for name, member in npz_file.members(path).items()}
    if kind.name == "npy":
        raise Refused("The file is a single .npy array; save inputs and labels together with numpy.savez.")
    raise Refused(f"The file is neither .safetensors nor .npz: it looks like {kind.words}.")


def _of_safetensors(path: Path) -> dict[str, StoredArray]:
    found, start = tensor_file.outline(path)
    return {
        name: _of_tensor(path, name, start + entry["data_offsets"][0], tuple(entry["shape"]), entry["dtype"])
        for name, entry in found.items()
    }


def _of_tensor(path: Path, name: str, start: int, shape: tuple[int, ...], code: str) -> StoredArray:
    if code not in tensor_file.DTYPES:
        raise Refused(f"The array {name!r} holds {code}, not numbers that a network can take.")
    dtype = tensor_file.DTYPES[code]

    def rows() -> RowFile:
        return RowFile(os.open(path, os.O_RDONLY), start, shape or (1,), dtype)

    return StoredArray(shape, str(dtype).removeprefix("torch."), lambda: rows().whole(dtype).view(shape), rows)


def _of_npz(path: Path, name: str, member: npz_file.Member) -> StoredArray:
    def load() -> Tensor:
        _check_numbers(name, member.dtype)
        array = npz_file.load(path, member)
        return torch.from_numpy(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")))

    return StoredArray(member.shape, str(member.dtype), load, partial(_rows, path, name, member))


def _rows(path: Path, name: str, member: npz_file.Member) -> RowFile | None:
    _check_numbers(name, member.dtype)
    start = npz_file.stored_at(path, member) if member.dtype.isnative and member.shape else None
    if start is None:
        return None
    return RowFile(os.open(path, os.O_RDONLY), start, member.shape, torch.from_numpy(np.empty(0, member.dtype)).dtype)


def _check_numbers(name: str, dtype: np.dtype[np.generic]) -> None:
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise Refused(f"The array {name!r} holds {dtype}, not numbers that a network can take.")
