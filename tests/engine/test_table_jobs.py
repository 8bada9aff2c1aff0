"""Whole jobs on tables, and what a user needs to show the student new rows."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_iris

from app.contract.architectures import Mlp
from app.contract.report import Report
from tests.engine.folders import make
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.data.table_samples import TableSamples

FLOWERS = load_iris()
ORDER = np.random.RandomState(0).permutation(150)
ROWS = [
    {
        **dict(zip(("sepal length", "sepal width", "petal length"), map(str, values), strict=False)),
        "petal": "" if number % 29 == 0 else "wide" if values[3] > 1 else "narrow",
        "species": str(FLOWERS.target_names[FLOWERS.target[flower]]),
        "split": "test" if number >= 100 else "train",
    }
    for number, flower in enumerate(ORDER)
    for values in [FLOWERS.data[flower]]
]
NETWORK = Mlp(inputs=6, hidden=(16,), classes=3)
FORMAT = {"kind": "table", "label": "species"}
MUNGED = {"augmentation": [{"kind": "munge", "probability": 0.3, "spread": 2}]}


def irises(folder: Path, **settings: Any) -> Path:
    """Lay out a job whose transfer set is a CSV file with names as labels."""
    transfer_set = {"format": FORMAT, **settings.pop("transfer_set", {})}
    make(folder, teacher=NETWORK, student=NETWORK, transfer_set=transfer_set, **settings)
    with (folder / "inputs" / "transfer_set").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(ROWS[0]))
        writer.writeheader()
        writer.writerows(ROWS)
    return folder


def by_hand(row: dict[str, str], encoding: list[dict[str, Any]]) -> list[float]:
    """Encode a row as the manifest says."""
    values: list[float] = []
    for rule in encoding:
        cell = row[rule["column"]]
        if rule["values"]:
            values += [float(value == (cell or None)) for value in rule["values"]]
        else:
            values.append(((float(cell) if cell else rule["missing"]) - rule["centre"]) / rule["scale"])
    return values


def test_a_student_of_a_table(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    training = {"epochs": 30, "batch_size": 10, "optimizer": {"kind": "adamw", "learning_rate": 0.01}}
    run_here(irises(tmp_path, spec={**MUNGED, "objective": [{"kind": "hard_target"}]}, training=training))
    report = Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes())
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["class_names"] == ["setosa", "versicolor", "virginica"]
    assert [rule["column"] for rule in manifest["encoding"]] == ["sepal length", "sepal width", "petal length", "petal"]
    student = build.network(NETWORK).eval()
    student.load_state_dict(load_file(tmp_path / "out" / "student.safetensors"))
    inputs = torch.tensor([by_hand(row, manifest["encoding"]) for row in ROWS[100:]])
    with torch.no_grad():
        found = [manifest["class_names"][number] for number in student(inputs).argmax(1)]
    right = np.mean([name == row["species"] for name, row in zip(found, ROWS[100:], strict=True)])
    assert (report.evaluated_on.split, report.evaluated_on.samples) == ("test", 50)
    assert report.student.accuracy == pytest.approx(right)
    assert report.student.accuracy > 0.8


def test_teacher_and_student_see_the_same_munged_rows(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    bench = lay_out(irises(tmp_path, spec=MUNGED))
    samples = bench.transfer_set.samples
    assert isinstance(samples, TableSamples)
    seen = bench.views.look(torch.arange(100), 1).raw
    assert isinstance(seen, torch.Tensor)
    assert not torch.equal(seen, samples.values[:100])
    assert (seen[:, 3:].sum(1) == 1).all()  # a category stays one of the names


def test_another_split_is_another_encoding_and_other_targets(tmp_path: Path, lay_out: Callable[[Path], Bench]) -> None:
    features = {
        "format": {**FORMAT, "split": None, "features": ["sepal length", "sepal width", "petal length", "petal"]}
    }
    rows = [{name: value for name, value in row.items() if name != "split"} for row in ROWS]
    benches = []
    for seed in (0, 0, 1):
        folder = irises(tmp_path / str(len(benches)), transfer_set={**features, "splits": {"test": 0.5, "seed": seed}})
        with (folder / "inputs" / "transfer_set").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        benches.append(lay_out(folder))
    first, same, other = (bench.transfer_set.samples.take(torch.arange(150)) for bench in benches)
    assert torch.equal(first, same)  # type: ignore[arg-type]
    assert not torch.equal(first, other)  # type: ignore[arg-type]
    assert benches[0].targets_key(0) == benches[1].targets_key(0) != benches[2].targets_key(0)
