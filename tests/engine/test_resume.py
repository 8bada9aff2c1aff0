"""Stopped or killed anywhere, a job goes on to the same student, bit for bit; damaged checkpoints are passed over."""

import hashlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.job_file import EXIT_STOPPED
from tests.engine.folders import RESNET, SMALL_RESNET, make, of_type
from tests.engine.forked import interrupt


def student_of(folder: Path) -> str:
    return hashlib.sha256((folder / "out" / "student.safetensors").read_bytes()).hexdigest()


RunHere = Callable[[Path], None]


def stopped_at(folder: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, check: int) -> None:
    """Run until the stop flag is looked at for the n-th time."""
    from worker.engine.failures import Stopped
    from worker.engine.stop import StopSignal

    looked = 0

    def count(_self: StopSignal) -> None:
        nonlocal looked
        looked += 1
        if looked == check:
            raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(StopSignal, "check", count)
        with pytest.raises(Stopped):
            run_here(folder)


TRAINING: dict[str, Any] = {"epochs": 3, "checkpoint_seconds": 0}


@pytest.mark.parametrize("check", [1, 7, 8, 9, 16, 27, 28, 45, 60])
def test_stopped_anywhere_also_while_evaluating(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, check: int
) -> None:
    # The teacher's 2 blocks; per epoch 7 steps, then one batch of evaluation for the student and one for the teacher
    # (in the first epoch with a block of its own); then the control.
    whole, cut = make(tmp_path / "whole", training=TRAINING), make(tmp_path / "cut", training=TRAINING)
    run_here(whole)
    stopped_at(cut, run_here, monkeypatch, check)
    run_here(cut)
    assert student_of(cut) == student_of(whole)
    evaluations = [(event.run, event.step, event.metrics) for event in of_type(cut, "evaluation")]
    assert evaluations == [(event.run, event.step, event.metrics) for event in of_type(whole, "evaluation")]


@pytest.mark.parametrize("check", [4, 9, 20])
def test_running_statistics_of_batch_norms_go_on_too(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch, check: int
) -> None:
    settings: dict[str, Any] = {
        "teacher": RESNET, "student": SMALL_RESNET, "training": TRAINING, "spec": {"control": False}
    }  # fmt: skip
    whole, cut = make(tmp_path / "whole", **settings), make(tmp_path / "cut", **settings)
    run_here(whole)
    # Its weights lie channels last in memory: a fused optimiser whose slots came back otherwise would mix them up.
    stopped_at(cut, run_here, monkeypatch, check)
    run_here(cut)
    assert student_of(cut) == student_of(whole)


def test_a_finished_student_is_not_trained_again(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path, training=TRAINING)
    stopped_at(folder, run_here, monkeypatch, 35)
    run_here(folder)
    steps = [event.step for event in of_type(folder, "step") if event.run == "student"]
    assert max(steps) == 21
    assert steps.count(21) == 1
    assert [event.run for event in of_type(folder, "resumed")] == ["control"]


def test_checkpoints_of_other_work_are_not_taken(
    tmp_path: Path, run_here: RunHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path, training=TRAINING)
    stopped_at(folder, run_here, monkeypatch, 12)
    text = (folder / "job.json").read_text()
    (folder / "job.json").write_text(text.replace('"epochs": 3', '"epochs": 4'))
    run_here(folder)
    assert not of_type(folder, "resumed")


def test_a_half_written_event_is_dropped(tmp_path: Path, run_here: RunHere) -> None:
    folder = make(tmp_path, training=TRAINING)
    (folder / "events.jsonl").write_text('{"type":"notice","text":"whole"}\n{"type":"noti')
    run_here(folder)
    assert of_type(folder, "notice")[0].text == "whole"
    assert of_type(folder, "finished")


def test_ctrl_c_stops_like_sigterm(tmp_path: Path) -> None:
    assert interrupt(make(tmp_path, training={"epochs": 30, "log_every": 1}), signal.SIGINT, 3) == EXIT_STOPPED
