"""safetensors files: headers checked before they are believed, and written so that equal content is equal bytes.

The library writes its metadata in random order and sorts the tensors; ours keeps the state dict's order.
"""

import json
import math
import os
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from worker.engine.failures import Refused
from worker.engine.files.names import NamedTwice, without_repeats

MAX_HEADER_BYTES = 4 * 2**20
MAX_TENSORS = 50_000
_MAX_AXES = 64
"""What numpy takes; of 100,000 torch makes minutes of work."""
_MAX_PLACE = 2**62
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def read_header(path: Path, max_bytes: int = MAX_HEADER_BYTES) -> dict[str, Any]:
    """Return the header (tensor name -> dtype, shape, data_offsets; `__metadata__`), checked against the file.

    Raises Refused where it is too large, malformed, repeats a name, or promises other bytes than the file has.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > max_bytes:
            raise Refused(f"The safetensors header claims {length:,} bytes; at most {max_bytes:,} are read.")
        if size < 8 + length:
            raise Refused("The safetensors file is cut short: it ends inside its header.")
        header = _parse(file.read(length))
    tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if len(tensors) > MAX_TENSORS:
        raise Refused(f"The file holds {len(tensors):,} tensors; at most {MAX_TENSORS:,} are read.")
    _check_shapes(tensors)
    _check_extent(tensors, size - 8 - length)
    return header


def outline(path: Path) -> tuple[dict[str, Any], int]:
    """Return the tensors' entries of the header, in the order of their bytes, and where the first byte lies.

    Raises Refused where the file is not valid.
    """
    header = read_header(path)
    header.pop("__metadata__", None)
    try:
        with safe_open(path, framework="pt"):
            pass  # only to have the library check the header: shapes against extents, and holes
    except SafetensorError as error:
        raise Refused(f"The file is not valid safetensors: {error}.") from error
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
    return {name: header[name] for name in _in_order(header)}, start


def load(path: Path, max_header_bytes: int = MAX_HEADER_BYTES) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return tensors (in the order of their bytes) and metadata. Raises Refused."""
    header = read_header(path, max_header_bytes)
    metadata = header.pop("__metadata__", {})
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise Refused(f"The file is not valid safetensors: {error}.") from error
    return {name: found[name] for name in _in_order(header)}, metadata


def _in_order(header: Mapping[str, Any]) -> list[str]:
    return sorted(header, key=lambda name: (header[name]["data_offsets"], name))


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors in their order (wider dtypes first, as alignment asks) and wait until they are on disk."""
    # One at a time on the CPU and contiguous; parameters of a CUDA LSTM are views of one buffer.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].element_size())
    with path.open("wb") as file:
        file.write(header({name: (tensor.dtype, tensor.shape) for name, tensor in ordered}, metadata))
        for _, tensor in ordered:
            file.write(_bytes(tensor))
        file.flush()
        os.fsync(file.fileno())


def header(tensors: Mapping[str, tuple[torch.dtype, Sequence[int]]], metadata: Mapping[str, str]) -> bytes:
    """Return what a file begins with whose tensors (dtype, shape) lie in this order."""
    entries: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        end = offset + math.prod(shape) * dtype.itemsize
        entries[name] = {"dtype": NAMES[dtype], "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def _bytes(tensor: Tensor) -> memoryview:
    flat = tensor.detach().to("cpu").contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _parse(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text, object_pairs_hook=without_repeats)
    except NamedTwice as error:
        raise Refused(f"The safetensors header names {error}.") from error
    except (ValueError, RecursionError) as error:
        raise Refused(f"The safetensors header is not valid JSON ({error}).") from error
    if not isinstance(header, dict) or not all(isinstance(entry, dict) for entry in header.values()):
        raise Refused("The safetensors header is not a table of tensors.")
    return header


def _check_shapes(tensors: Mapping[str, Any]) -> None:
    for name, entry in tensors.items():
        shape = entry.get("shape")
        if isinstance(shape, list) and len(shape) > _MAX_AXES:
            raise Refused(f"The tensor {name[:100]!r} has {len(shape):,} axes; at most {_MAX_AXES} are read.")
        if isinstance(shape, list) and any(isinstance(size, int) and size > _MAX_PLACE for size in shape):
            raise Refused(f"The tensor {name[:100]!r} has a shape that none can have.")


def _check_extent(tensors: Mapping[str, Any], size: int) -> None:
    try:
        extents = sorted((int(entry["data_offsets"][0]), int(entry["data_offsets"][1])) for entry in tensors.values())
    except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise Refused("The safetensors header lacks a tensor's place in the file.") from error
    end = max((end for _, end in extents), default=0)
    if end > _MAX_PLACE:
        raise Refused("The safetensors header has a tensor's place beyond any file.")
    if end > size:
        raise Refused(f"The safetensors file is cut short: its header promises {end:,} bytes, and {size:,} follow.")
    if any(end > start for (_, end), (start, _) in pairwise(extents)):
        raise Refused("Tensors of the safetensors file overlap.")
