"""Rows of a CSV, JSON Lines or Parquet file. N = samples, F = inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from app.contract import inspection
from app.contract.inspection import TableColumn
from app.contract.transfer import Splits, Table
from worker.engine.data import splits, table_encoding
from worker.engine.data.content import Content
from worker.engine.data.labels import Labels, labels_of, parts_of
from worker.engine.data.table_columns import Values, is_missing, tell
from worker.engine.data.table_encoding import Rule
from worker.engine.data.table_samples import TableSamples
from worker.engine.failures import Refused
from worker.engine.files import column_file
from worker.engine.files.column_file import ColumnFile

_LABEL = ("label", "target", "class")
_SPLIT = ("split",)
_MAX_CLASSES = 1_000
_SHOWN_ROWS = 3
_SHOWN_COLUMNS = 16
_SHOWN_VALUES = 10
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class _Roles:
    """Names of columns, by what they are for."""

    label: str | None
    split: str | None
    features: tuple[str, ...]

    def of(self, name: str) -> Literal["feature", "label", "split", "unused"]:
        if name in self.features:
            return "feature"
        return "label" if name == self.label else "split" if name == self.split else "unused"


def read(path: Path, wanted: Table, divided: Splits) -> Content:
    """Read, encode and check a file. Raises Refused where there is not even a feature to look at."""
    file = column_file.read(path)
    roles = _roles(file, wanted)
    labels, problems = _labels(file, roles.label, wanted)
    split_N, split_problems = parts_of(file, roles.split) if roles.split else (None, [])
    rows = len(file.columns[roles.features[0]])
    columns = [
        tell(name, file.columns[name], as_categories=name in (wanted.categories or ())) for name in roles.features
    ]
    part_N = splits.parts(labels.values_N if labels else None, None if split_problems else split_N, rows, divided)
    training = splits.rows_by_part(part_N)["train"]
    problems = [*problems, *split_problems, *table_encoding.problems_of(columns, training, wanted, file.place)]
    rules = () if problems else table_encoding.fit(columns, training, wanted)
    return Content(
        file.format,
        samples=_samples(file, columns, rules, rows),
        inputs=inspection.Tensor(name="features", shape=(rows, rules[-1].stop if rules else 0), dtype="float32"),
        labels_N=labels.values_N if labels else None,
        labels=_labels_shown(roles.label, labels),
        split_N=split_N,
        class_names=labels.class_names if labels else wanted.classes or (),
        problems=problems,
        about={"columns": _shown(file, roles, columns, rules)},
    )


def _roles(file: ColumnFile, wanted: Table) -> _Roles:
    label = file.named(wanted.label, _LABEL, "labels")
    split = file.named(wanted.split, _SPLIT, "split")
    for name in (*(wanted.features or ()), *(wanted.categories or ())):
        file.named(name, (), "features")
    features = wanted.features or tuple(name for name in file.columns if name not in {label, split})
    if not features:
        raise Refused(f"There is no column of features beside label and split; the file has {file.listed()}.")
    if not file.columns[features[0]]:
        raise Refused("The file has no rows: there are no samples.")
    return _Roles(label if label not in features else None, split if split not in features else None, features)


def _labels(file: ColumnFile, name: str | None, wanted: Table) -> tuple[Labels | None, list[str]]:
    if name is None:
        return None, []
    told = tell(name, file.columns[name])
    fraction = next(
        (row for row, number in enumerate(told.numbers_N) if told.holds == "numbers" and number % 1 > 0), None
    )
    if fraction is not None and not wanted.classes:
        text = f"has at {file.place(fraction)} {told.numbers_N[fraction]:g}, and labels are names or whole numbers"
        return None, [f"The column {name!r} {text}. Name the column of classes in `label`."]
    if told.holds != "numbers" and not wanted.classes and len(told.counts) > _MAX_CLASSES:
        text = f"has {len(told.counts):,} different values, and labels tell up to {_MAX_CLASSES:,} classes apart"
        return None, [f"The column {name!r} {text}. Name the column of classes in `label`."]
    labels = labels_of(file, name, wanted.classes)
    return labels, labels.problems


def _labels_shown(name: str | None, labels: Labels | None) -> inspection.Tensor | None:
    if name is None or labels is None:
        return None
    return labels.shown(name)


def _samples(file: ColumnFile, columns: Sequence[Values], rules: Sequence[Rule], rows: int) -> TableSamples:
    if not rules:
        return TableSamples(torch.empty(rows, 0), ())
    names = [column.name for column in columns[:_SHOWN_COLUMNS]]
    shown = [{name: _cell(file.columns[name][row]) for name in names} for row in range(min(rows, _SHOWN_ROWS))]
    return TableSamples(torch.from_numpy(table_encoding.encode(columns, rules, rows)), rules, shown)


def _cell(value: Any) -> Any:
    if is_missing(value):
        return None
    return value if isinstance(value, int | float) else str(value)[:_SHOWN_CHARACTERS]


def _shown(file: ColumnFile, roles: _Roles, features: Sequence[Values], rules: Sequence[Rule]) -> list[TableColumn]:
    told = {values.name: values for values in features}
    widths = {rule.column: rule.stop - rule.start for rule in rules}
    return [_column(told.get(name) or tell(name, file.columns[name]), roles, widths) for name in file.columns]


def _column(values: Values, roles: _Roles, widths: Mapping[str, int]) -> TableColumn:
    common = [word[:_SHOWN_CHARACTERS] for word, _ in values.counts.most_common(_SHOWN_VALUES)]
    numbers = values.numbers_N[np.isfinite(values.numbers_N)]
    measured = values.holds == "numbers" and len(numbers) > 0
    return TableColumn(
        name=values.name,
        role=roles.of(values.name),
        holds=values.holds,
        missing=values.missing,
        distinct=len(values.counts),
        least=float(numbers.min()) if measured else None,
        most=float(numbers.max()) if measured else None,
        values=common if values.holds in {"categories", "booleans"} else [],
        inputs=widths.get(values.name, 0),
    )
