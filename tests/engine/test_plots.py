"""Plots, and the data behind them in the report: bounded, and drawn as the same bytes every time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch

from app.contract.report import Report
from tests.engine.folders import make
from worker.engine.plots.write import PLOTS, write
from worker.engine.report import calibration
from worker.engine.report.confusion import CLASSES, confusion

RunHere = Callable[[Path], None]
DRAWN: dict[str, Any] = {"spec": {"export": {"plots": True}}, "training": {"epochs": 2, "log_every": 2}}


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


def drawn_again(folder: Path, report: Report) -> dict[str, bytes]:
    """Return what is drawn of a report, by file name."""

    class Made:
        class_names = ("a $dollar", "b_under", "a very long name of a class")

    Made.report = report  # type: ignore[attr-defined]
    folder.mkdir()
    write(folder, Made())  # type: ignore[arg-type]
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_job_publishes_its_plots(tmp_path: Path, run_here: RunHere) -> None:
    splits = {"splits": {"validation": 0.2, "test": 0.25}}
    before = dict(mpl.rcParams)
    folder = make(tmp_path / "job", transfer_set=splits, **DRAWN)
    run_here(folder)
    assert dict(mpl.rcParams) == before
    out, report = folder / "out", report_of(folder)
    kinds = {file["name"]: file["kind"] for file in json.loads((out / "manifest.json").read_text())["files"]}
    names = {f"{name}.{form}" for name in PLOTS for form in ("png", "svg")}
    assert {name for name, kind in kinds.items() if kind == "plot"} == names
    assert all((out / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in PLOTS)
    assert all(f"![{name}]({name}.png)" in (out / "README.md").read_text() for name in PLOTS)
    first, second = drawn_again(tmp_path / "first", report), drawn_again(tmp_path / "second", report)
    assert first == second
    assert first.keys() == names
    assert first["loss.svg"] == (out / "loss.svg").read_bytes()
    assert [(one.truth, one.guess) for one in report.confusions] == [
        ("teacher", "student"),
        ("labels", "student"),
        ("labels", "teacher"),
    ]
    against_labels = np.array(report.confusions[1].counts)
    assert against_labels.sum() == report.evaluated_on.labelled
    assert against_labels.trace() / against_labels.sum() == pytest.approx(report.student.accuracy)
    assert report.student.reliability
    assert sum(report.student.reliability.counts) == report.evaluated_on.labelled


def test_without_labels_there_is_less_to_draw(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, labels=np.full(120, -1), transfer_set={"splits": {"validation": 0}}, **DRAWN)
    run_here(folder)
    drawn = {path.stem for path in (folder / "out").glob("*.png")}
    assert drawn == {"loss", "confusion"}
    report = report_of(folder)
    assert [(one.truth, one.guess) for one in report.confusions] == [("teacher", "student")]
    assert report.student.reliability is report.student.reliability_scaled is None


def test_a_report_of_an_earlier_version_is_drawn_as_far_as_it_goes(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path / "job", training={"epochs": 1})
    run_here(folder)
    document = json.loads((folder / "out" / "report.json").read_bytes())
    del document["confusions"]
    for who in ("teacher", "student", "control"):
        del document[who]["reliability"], document[who]["reliability_scaled"]
    assert not list((folder / "out").glob("*.png"))
    names = drawn_again(tmp_path / "drawn", Report.model_validate(document))
    assert {name.split(".")[0] for name in names} == {"loss", "progress"}


def test_confusion_of_few_classes() -> None:
    found = confusion(torch.tensor([0, 0, 1, -1]), torch.tensor([0, 1, 1, 1]), 2, "labels", "student")
    assert (found.classes, found.others, found.counts) == ([0, 1], False, [[1, 1], [0, 1]])


def test_confusion_of_many_classes_shows_the_worst_and_counts_all() -> None:
    true_N = torch.arange(1_000).repeat(3)
    guessed_N = true_N.clone()
    guessed_N[true_N == 700] = 3
    found = confusion(true_N, guessed_N, 1_000, "teacher", "student")
    assert len(found.classes) == CLASSES
    assert {3, 700} <= set(found.classes)
    counts = torch.tensor(found.counts)
    assert counts.shape == (CLASSES + 1, CLASSES + 1)
    assert int(counts.sum()) == 3_000
    assert counts[found.classes.index(700), found.classes.index(3)] == 3
    assert counts[-1, -1] == 3 * (1_000 - CLASSES)


def test_the_bins_behind_the_calibration_error() -> None:
    logits_NC = torch.log(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.55, 0.45]], dtype=torch.float64))
    labels_N = torch.tensor([0, 1, 0])
    bins = calibration.reliability(logits_NC, labels_N)
    full = [place for place, count in enumerate(bins.counts) if count]
    assert [bins.counts[place] for place in full] == [1, 2]
    assert [bins.confidence[place] for place in full] == pytest.approx([0.55, 0.9])
    assert [bins.accuracy[place] for place in full] == pytest.approx([1.0, 0.5])
    assert calibration.expected_calibration_error(logits_NC, labels_N) == pytest.approx((0.45 + 2 * 0.4) / 3)
