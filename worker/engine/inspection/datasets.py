"""An uploaded transfer set: what it holds, how it is divided, and why it cannot be used. N = samples."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.contract import inspection
from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection
from app.contract.job_file import InspectDataset
from app.contract.transfer import UNLABELLED
from worker.engine import splits
from worker.engine.build import reader
from worker.engine.failures import Refused
from worker.engine.transfer_sets.tensors import Arrays

_PREVIEW_ROWS = 3
_PREVIEW_VALUES = 16
_COUNTED_CLASSES = 1_000


def inspect_dataset(path: Path, subject: InspectDataset) -> DatasetInspection:
    """Return the finding; its problems say why the set is rejected."""
    try:
        arrays: Arrays = reader(subject.format)(path, subject.format)
    except Refused as refusal:
        return DatasetInspection(problems=[Problem(detail=problem) for problem in refusal.problems])
    finding = DatasetInspection(
        format=arrays.format,
        rows=len(arrays.inputs),
        inputs=_tensor(arrays, "inputs", arrays.inputs),
        labels=None if arrays.labels_N is None else _tensor(arrays, "labels", arrays.labels_N),
        problems=[Problem(detail=problem) for problem in arrays.problems],
    )
    return finding if arrays.problems else finding.model_copy(update=_contents(arrays, subject))


def _contents(arrays: Arrays, subject: InspectDataset) -> dict[str, Any]:
    rows = len(arrays.inputs)
    labels_N = np.full(rows, UNLABELLED) if arrays.labels_N is None else arrays.labels_N.numpy()
    part_N = splits.draw(labels_N, subject.splits) if arrays.split_N is None else arrays.split_N.numpy()
    parts = splits.rows_by_part(part_N)
    known = labels_N[labels_N != UNLABELLED]
    return {
        "labelled": len(known),
        "unlabelled": rows - len(known),
        "classes": int(known.max()) + 1 if len(known) else None,
        "class_counts": _counts(known),
        "splits": {name: len(part) for name, part in parts.items()},
        "labelled_splits": {name: int((labels_N[part] != UNLABELLED).sum()) for name, part in parts.items()},
        "preview": [_preview(arrays, row) for row in range(min(_PREVIEW_ROWS, rows))],
    }


def _counts(known: NDArray[np.int64]) -> list[int]:
    # Cut before counting: one label of 10^12 must not reserve 10^12 counters.
    counts: list[int] = np.bincount(known[known < _COUNTED_CLASSES]).tolist()
    return counts


def _tensor(arrays: Arrays, what: str, array: Tensor) -> inspection.Tensor:
    return inspection.Tensor(name=arrays.names[what], shape=tuple(array.shape), dtype=arrays.dtypes[what])


def _preview(arrays: Arrays, row: int) -> dict[str, Any]:
    values = arrays.inputs[row].flatten()[:_PREVIEW_VALUES].to(torch.float64).tolist()
    shown = {"inputs": [float(f"{value:.6g}") for value in values]}
    return shown if arrays.labels_N is None else {**shown, "label": int(arrays.labels_N[row])}
