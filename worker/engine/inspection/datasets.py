"""An uploaded transfer set: what it holds, how it is divided, and why it cannot be used. N = samples."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection
from app.contract.job_file import InspectDataset
from app.contract.transfer import UNLABELLED
from worker.engine import splits
from worker.engine.build import read
from worker.engine.content import Content
from worker.engine.failures import Refused

_PREVIEW_ROWS = 3
_COUNTED_CLASSES = 1_000


def inspect_dataset(path: Path, subject: InspectDataset) -> DatasetInspection:
    """Return the finding; its problems say why the set is rejected."""
    try:
        content = read(path, subject.format, subject.splits)
    except Refused as refusal:
        return DatasetInspection(problems=[Problem(detail=problem) for problem in refusal.problems])
    finding = DatasetInspection(
        format=content.format,
        rows=len(content.samples),
        inputs=content.inputs,
        sample_kind=content.samples.kind,
        labels=content.labels,
        problems=[Problem(detail=problem) for problem in content.problems],
        **content.about,
    )
    return finding if content.problems else finding.model_copy(update=_contents(content, subject))


def _contents(content: Content, subject: InspectDataset) -> dict[str, Any]:
    rows = len(content.samples)
    labels_N = np.full(rows, UNLABELLED) if content.labels_N is None else content.labels_N.numpy()
    parts = splits.rows_by_part(splits.parts(content.labels_N, content.split_N, rows, subject.splits))
    known = labels_N[labels_N != UNLABELLED]
    named = len(content.class_names)
    return {
        "labelled": len(known),
        "unlabelled": rows - len(known),
        "classes": max(named, int(known.max()) + 1) if len(known) else named or None,
        "class_names": list(content.class_names[:_COUNTED_CLASSES]),
        "class_counts": _counts(known),
        "splits": {name: len(part) for name, part in parts.items()},
        "labelled_splits": {name: int((labels_N[part] != UNLABELLED).sum()) for name, part in parts.items()},
        "preview": [_preview(content, row) for row in range(min(_PREVIEW_ROWS, rows))],
    }


def _counts(known: NDArray[np.int64]) -> list[int]:
    # Cut before counting: one label of 10^12 must not reserve 10^12 counters.
    counts: list[int] = np.bincount(known[known < _COUNTED_CLASSES]).tolist()
    return counts


def _preview(content: Content, row: int) -> dict[str, Any]:
    shown = {"inputs": content.samples.preview(row)}
    return shown if content.labels_N is None else {**shown, "label": int(content.labels_N[row])}
