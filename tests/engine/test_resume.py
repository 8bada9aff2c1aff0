"""Stopped or killed anywhere, a job goes on to the same student, bit for bit; damaged checkpoints are passed over."""

import hashlib
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.architectures import Architecture
from app.contract.job_file import EXIT_DONE, EXIT_STOPPED
from tests.engine.folders import LSTM, MLP, RESNET, SMALL_LSTM, SMALL_MLP, SMALL_RESNET, make, of_type, start

PAIRS = [(MLP, SMALL_MLP), (LSTM, SMALL_LSTM)]
LONG: dict[str, Any] = {
    "epochs": 30,
    "batch_size": 8,
    "log_every": 1,
    "checkpoint_seconds": 0.05,
    "early_stopping": {"patience": 50},
    "optimizer": {"kind": "adamw", "learning_rate": 0.01},
}


def student_of(folder: Path) -> str:
    return hashlib.sha256((folder / "out" / "student.safetensors").read_bytes()).hexdigest()


def finish(folder: Path) -> None:
    assert start(folder).wait(timeout=60) == EXIT_DONE, (folder / "log.txt").read_text()


def interrupt(folder: Path, number: int, steps: int) -> int:
    """Send a signal once the run has reported so many more steps; return the exit code."""
    already = steps_reported(folder)
    process = start(folder)
    while process.poll() is None and steps_reported(folder) < already + steps:
        time.sleep(0.002)
    process.send_signal(number)
    return process.wait(timeout=60)


def steps_reported(folder: Path) -> int:
    path = folder / "events.jsonl"
    return path.read_bytes().count(b'"type":"step"') if path.exists() else 0


@pytest.mark.parametrize(("teacher", "student"), PAIRS, ids=["mlp", "lstm"])
def test_the_student_is_bit_identical_after_sigterm_and_sigkill(
    tmp_path: Path, teacher: Architecture, student: Architecture
) -> None:
    spec: dict[str, Any] = {"control": False}
    if teacher is MLP:
        spec["augmentation"] = [{"kind": "noise", "std": 0.3}, {"kind": "mixup"}]
    settings: dict[str, Any] = {"teacher": teacher, "student": student, "training": LONG, "spec": spec}
    whole, cut = make(tmp_path / "whole", **settings), make(tmp_path / "cut", **settings)
    finish(whole)
    draw = random.Random(student.kind)
    assert interrupt(cut, signal.SIGTERM, draw.randint(1, 150)) == EXIT_STOPPED
    assert of_type(cut, "checkpoint")
    assert interrupt(cut, signal.SIGKILL, draw.randint(20, 150)) == -signal.SIGKILL
    finish(cut)
    assert len(of_type(cut, "resumed")) == 2
    assert student_of(cut) == student_of(whole)


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
    assert interrupt(make(tmp_path, training=LONG), signal.SIGINT, 3) == EXIT_STOPPED
