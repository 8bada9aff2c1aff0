"""`max_runtime`: a job whose time is up ends well, with the student as far as it has come."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.job_file import EXIT_STOPPED
from app.contract.report import Report
from tests.engine.folders import make, of_type
from tests.engine.forked import finish, interrupt
from tests.engine.test_resume import student_of

ENDLESS: dict[str, Any] = {"epochs": 100_000, "log_every": 1, "early_stopping": None}
HINTS = {"name": "hints", "epochs": 100_000, "objective": [{"kind": "soft_target"}]}


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


@pytest.mark.parametrize(("stages", "seconds"), [([], 0.3), ([HINTS], 0.3), ([HINTS], 1e-6)])
def test_the_student_so_far_is_published(
    tmp_path: Path, run_here: Callable[[Path], None], stages: list[dict[str, Any]], seconds: float
) -> None:
    folder = make(tmp_path, training=ENDLESS, spec={"max_runtime": seconds, "stages": stages})
    run_here(folder)
    assert of_type(folder, "finished")[0].stop_reason == "max_runtime"
    report = report_of(folder)
    assert report.stop_reason == "max_runtime"
    assert report.control is None
    assert report.control_missing == "max_runtime was reached before the control was trained."
    assert sum(report.training_seconds.values()) < seconds + 2
    assert {event.stage for event in of_type(folder, "step")} == {None, *(stage["name"] for stage in stages)}


def test_time_of_earlier_attempts_counts(tmp_path: Path) -> None:
    folder = make(tmp_path, training=ENDLESS, spec={"max_runtime": 2.0, "control": False})
    assert interrupt(folder, signal.SIGTERM, 3) == EXIT_STOPPED
    finish(folder)
    assert of_type(folder, "resumed")
    assert 2.0 <= report_of(folder).training_seconds["student"] < 3.0


def test_a_control_that_has_no_time_is_left_out(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    """The student goes first: it is whole, and only the control is cut."""
    usual = make(tmp_path / "usual", training={"epochs": 40}, spec={"control": False})
    run_here(usual)
    report = report_of(usual)
    for turn in range(8):  # until the machine is about as fast as it was the time before
        seconds = report.training_seconds["student"]
        folder = make(tmp_path / f"short{turn}", training={"epochs": 40}, spec={"max_runtime": 1.2 * seconds})
        run_here(folder)
        report = report_of(folder)
        if report.stop_reason == "completed" and report.control is None:
            break
    assert student_of(folder) == student_of(usual)
    assert report.control is None
    assert report.control_missing
    assert "control" not in report.curves


def test_time_enough_changes_nothing(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    usual, bounded = make(tmp_path / "usual"), make(tmp_path / "bounded", spec={"max_runtime": 3600})
    for folder in (usual, bounded):
        run_here(folder)
    report = report_of(bounded)
    assert (report.stop_reason, report.control_missing) == ("completed", None)
    assert student_of(bounded) == student_of(usual)
