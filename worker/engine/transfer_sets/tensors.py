"""Arrays in one .safetensors or .npz file. N = samples."""

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from app.contract import inspection
from app.contract.transfer import SPLITS, UNLABELLED, Tensors
from worker.engine.data.content import Content
from worker.engine.data.labels import MAX_CLASSES
from worker.engine.data.samples import ArraySamples, Samples
from worker.engine.data.streamed import StreamedSamples
from worker.engine.failures import Refused
from worker.engine.files.array_file import StoredArray, arrays_of

_INPUTS = ("inputs", "x", "X")
_LABELS = ("labels", "y", "Y")
_SPLIT = ("split",)


def read(path: Path, wanted: Tensors) -> Content:
    """Read and check a file. Raises Refused where there is not even an array of inputs to look at."""
    form, arrays = arrays_of(path)
    name = _named(arrays, wanted.inputs, _INPUTS, "inputs")
    if name is None:
        raise Refused(
            f"There is no array of inputs (inputs, x or X, or the name given); the file holds {_held(arrays)}."
        )
    samples, problems = _inputs(name, arrays[name])
    labels_name = _named(arrays, wanted.labels, _LABELS, "labels")
    labels_N = _integers(arrays, labels_name, problems, _label_problem)
    split_N = _integers(arrays, _named(arrays, wanted.split, _SPLIT, "split"), problems, _split_problem)
    for what, array in (("labels", labels_N), ("split", split_N)):
        if array is not None and arrays[name].shape and len(array) != (rows := arrays[name].shape[0]):
            problems.append(f"The inputs have {rows:,} rows and the {what} {len(array):,}.")
    return Content(
        form,
        samples=samples,
        inputs=_shown(name, arrays[name]),
        labels_N=labels_N,
        labels=None if labels_name is None or labels_N is None else _shown(labels_name, arrays[labels_name]),
        split_N=split_N,
        problems=problems,
    )


def _shown(name: str, array: StoredArray) -> inspection.Tensor:
    return inspection.Tensor(name=name, shape=array.shape, dtype=array.dtype)


def _named(arrays: Mapping[str, StoredArray], given: str | None, usual: tuple[str, ...], what: str) -> str | None:
    if given is not None:
        if given not in arrays:
            raise Refused(f"There is no array {given!r} for the {what}; the file holds {_held(arrays)}.")
        return given
    return next((name for name in usual if name in arrays), None)


def _held(arrays: Mapping[str, StoredArray]) -> str:
    return ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:20]) or "nothing"


def _inputs(name: str, array: StoredArray) -> tuple[Samples, list[str]]:
    nothing = ArraySamples(torch.empty(0))
    if not array.shape or not prod(array.shape):
        return nothing, [f"The array {name!r} is empty: there are no samples."]
    if len(array.shape) == 1:
        return nothing, [f"The array {name!r} has one axis; the samples need at least one of their own beside it."]
    if rows := array.rows():
        return StreamedSamples(rows), _not_finite(rows.blocks())
    values = array.load()
    return ArraySamples(values.to(torch.float32).contiguous()), _not_finite([(0, values)])


def _not_finite(blocks: Iterable[tuple[int, Tensor]]) -> list[str]:
    first, count = None, 0
    for start, block in blocks:
        # In float32: that is what the networks take, and a float64 beyond its range would become infinite.
        bad_B = ~torch.isfinite(block.to(torch.float32)).flatten(1).all(1)
        if bad_B.any():
            first = start + int(bad_B.nonzero()[0]) if first is None else first
            count += int(bad_B.sum())
    if first is None:
        return []
    return [f"The inputs of {count:,} rows are not finite numbers in float32; the first is row {first}."]


def _label_problem(name: str, labels_N: Tensor) -> str | None:
    if int(labels_N.min()) < UNLABELLED:
        row = int((labels_N < UNLABELLED).nonzero()[0])
        return f"The labels {name!r} go below -1 (none): row {row} has {int(labels_N[row])}."
    if int(labels_N.max()) >= MAX_CLASSES:
        row = int((labels_N >= MAX_CLASSES).nonzero()[0])
        return f"The labels {name!r} tell at most {MAX_CLASSES:,} classes apart: row {row} has {int(labels_N[row]):,}."
    return None


def _split_problem(name: str, split_N: Tensor) -> str | None:
    wrong_N = (split_N < 0) | (split_N >= len(SPLITS))
    if wrong_N.any():
        row = int(wrong_N.nonzero()[0])
        return f"The split {name!r} may hold 0 (train), 1 (validation), 2 (test): row {row} has {int(split_N[row])}."
    if not (split_N == 0).any():
        return f"The split {name!r} leaves no sample to train on."
    return None


def _integers(arrays: Mapping[str, StoredArray], name: str | None, problems: list[str], check) -> Tensor | None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    if name is None:
        return None
    array = arrays[name].load()
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.squeeze(1)
    if array.ndim != 1 or array.dtype.is_floating_point or array.dtype == torch.bool:
        kind = str(array.dtype).removeprefix("torch.")
        problems.append(
            f"The array {name!r} must hold one integer a sample; it has shape {tuple(array.shape)} of {kind}."
        )
        return None
    unsigned, array = array.dtype == torch.uint64, array.to(torch.int64)
    if unsigned and (array < 0).any():
        problems.append(f"The array {name!r} has numbers of more than 63 bits.")
        return None
    problem = check(name, array) if len(array) else None
    problems.extend([problem] if problem else [])
    return array
