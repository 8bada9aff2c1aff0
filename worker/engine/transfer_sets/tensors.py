"""Arrays in one .safetensors or .npz file. N = samples."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from app.contract import inspection
from app.contract.transfer import SPLITS, UNLABELLED, Tensors
from worker.engine import npz_file, tensor_file
from worker.engine.content import Content
from worker.engine.failures import Refused
from worker.engine.file_kinds import recognise
from worker.engine.samples import ArraySamples

_INPUTS = ("inputs", "x", "X")
_LABELS = ("labels", "y", "Y")
_SPLIT = ("split",)


def read(path: Path, wanted: Tensors) -> Content:
    """Read and check a file. Raises Refused where there is not even an array of inputs to look at."""
    form, arrays = _load(path)
    name = _named(arrays, wanted.inputs, _INPUTS, "inputs")
    if name is None:
        raise Refused(
            f"There is no array of inputs (inputs, x or X, or the name given); the file holds {_held(arrays)}."
        )
    inputs, problems = _inputs(name, arrays[name])
    labels_name = _named(arrays, wanted.labels, _LABELS, "labels")
    labels_N = _integers(arrays, labels_name, problems, _label_problem)
    split_N = _integers(arrays, _named(arrays, wanted.split, _SPLIT, "split"), problems, _split_problem)
    for what, array in (("labels", labels_N), ("split", split_N)):
        if array is not None and inputs.ndim and len(array) != len(inputs):
            problems.append(f"The inputs have {len(inputs):,} rows and the {what} {len(array):,}.")
    return Content(
        form,
        samples=ArraySamples(inputs.to(torch.float32).contiguous()),
        inputs=_shown(name, arrays[name]),
        labels_N=labels_N,
        labels=None if labels_name is None or labels_N is None else _shown(labels_name, arrays[labels_name]),
        split_N=split_N,
        problems=problems,
    )


def _shown(name: str, array: Tensor) -> inspection.Tensor:
    return inspection.Tensor(name=name, shape=tuple(array.shape), dtype=str(array.dtype).removeprefix("torch."))


def _load(path: Path) -> tuple[Literal["safetensors", "npz"], dict[str, Tensor]]:
    kind = recognise(path)
    if kind.name == "safetensors":
        return "safetensors", tensor_file.load(path)[0]
    if kind.name == "npz":
        arrays = npz_file.load(path)
        return "npz", {name: _as_tensor(name, array) for name, array in arrays.items()}
    if kind.name == "npy":
        raise Refused("The file is a single .npy array; save inputs and labels together with numpy.savez.")
    raise Refused(f"The file is neither .safetensors nor .npz: it looks like {kind.words}.")


def _as_tensor(name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise Refused(f"The array {name!r} holds {array.dtype}, not numbers that a network can take.")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")))


def _named(arrays: dict[str, Tensor], given: str | None, usual: tuple[str, ...], what: str) -> str | None:
    if given is not None:
        if given not in arrays:
            raise Refused(f"There is no array {given!r} for the {what}; the file holds {_held(arrays)}.")
        return given
    return next((name for name in usual if name in arrays), None)


def _held(arrays: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tuple(array.shape)}" for name, array in list(arrays.items())[:20]) or "nothing"


def _inputs(name: str, array: Tensor) -> tuple[Tensor, list[str]]:
    if array.ndim == 0 or array.numel() == 0:
        return array.reshape(0) if array.ndim == 0 else array, [f"The array {name!r} is empty: there are no samples."]
    if array.ndim == 1:
        return array, [f"The array {name!r} has one axis; the samples need at least one of their own beside it."]
    if not array.dtype.is_floating_point:
        return array.to(torch.float32), []
    # Row by row in float32: that is what the networks take, and a float64 beyond its range would become infinite.
    bad_N = ~torch.isfinite(array.to(torch.float32)).flatten(1).all(1)
    if bad_N.any():
        row, count = int(bad_N.nonzero()[0]), int(bad_N.sum())
        return array, [f"The inputs of {count:,} rows are not finite numbers in float32; the first is row {row}."]
    return array, []


def _label_problem(name: str, labels_N: Tensor) -> str | None:
    if int(labels_N.min()) < UNLABELLED:
        row = int((labels_N < UNLABELLED).nonzero()[0])
        return f"The labels {name!r} go below -1 (none): row {row} has {int(labels_N[row])}."
    return None


def _split_problem(name: str, split_N: Tensor) -> str | None:
    wrong_N = (split_N < 0) | (split_N >= len(SPLITS))
    if wrong_N.any():
        row = int(wrong_N.nonzero()[0])
        return f"The split {name!r} may hold 0 (train), 1 (validation), 2 (test): row {row} has {int(split_N[row])}."
    if not (split_N == 0).any():
        return f"The split {name!r} leaves no sample to train on."
    return None


def _integers(arrays: dict[str, Tensor], name: str | None, problems: list[str], check) -> Tensor | None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    if name is None:
        return None
    array = arrays[name]
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.squeeze(1)
    if array.ndim != 1 or array.dtype.is_floating_point or array.dtype == torch.bool:
        kind = str(array.dtype).removeprefix("torch.")
        problems.append(
            f"The array {name!r} must hold one integer a sample; it has shape {tuple(array.shape)} of {kind}."
        )
        return None
    array = array.to(torch.int64)
    problem = check(name, array) if len(array) else None
    problems.extend([problem] if problem else [])
    return array
