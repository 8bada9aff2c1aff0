"""An uploaded transfer set: what it holds, how it is divided, and why it cannot be used. N = samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection
from app.contract.job_file import InspectDataset
from app.contract.transfer import UNLABELLED
from worker.engine.build import read
from worker.engine.data import splits
from worker.engine.data.content import Content
from worker.engine.failures import Refused

_PREVIEW_ROWS = 3
_PREVIEW_LABELS = 30
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
    rows, known_A = len(content.samples), content.every_label != UNLABELLED
    parts = splits.rows_by_part(splits.parts(content.strata, content.split_N, rows, subject.splits))
    owners_A = content.units.owners(torch.arange(rows))
    labelled_N = torch.bincount(owners_A[known_A], minlength=rows).numpy() > 0
    labels, named = content.every_label[known_A].numpy(), len(content.class_names)
    return {
        "labelled": int(labelled_N.sum()),
        "unlabelled": int((~labelled_N).sum()),
        "classes": max(named, int(labels.max()) + 1) if len(labels) else named or None,
        "class_names": list(content.class_names[:_COUNTED_CLASSES]),
        "class_counts": _counts(labels),
        "splits": {name: len(part) for name, part in parts.items()},
        "labelled_splits": {name: int(labelled_N[part].sum()) for name, part in parts.items()},
        **(_words(content, parts, known_A) if content.samples.kind == "words" else {}),
        "preview": [_preview(content, row) for row in range(min(_PREVIEW_ROWS, rows))],
    }


def _words(content: Content, parts: Mapping[str, NDArray[np.int64]], known_A: Tensor) -> dict[str, Any]:
    numbers = {name: content.units.of(torch.from_numpy(part)) for name, part in parts.items()}
    return {
        "word_splits": {name: len(found) for name, found in numbers.items()},
        "labelled_word_splits": {name: int(known_A[found].sum()) for name, found in numbers.items()},
    }


def _counts(known: NDArray[np.int64]) -> list[int]:
    # Cut before counting: one label of 10^12 must not reserve 10^12 counters.
    counts: list[int] = np.bincount(known[known < _COUNTED_CLASSES]).tolist()
    return counts


def _preview(content: Content, row: int) -> dict[str, Any]:
    shown = {"inputs": content.samples.preview(row)}
    if content.labels_N is None:
        return shown
    labels = content.labels_N[content.units.of(torch.tensor([row]))].tolist()
    return (
        {**shown, "labels": labels[:_PREVIEW_LABELS]}
        if content.samples.kind == "words"
        else {**shown, "label": labels[0]}
    )
