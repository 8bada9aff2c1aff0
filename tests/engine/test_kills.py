"""Killed again and again, a job ends with the student of an undisturbed run, bit for bit. Real processes."""

import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.contract.architectures import Transformers
from app.contract.job_file import EXIT_STOPPED
from tests.engine.folders import LSTM, MLP, RESNET, SMALL_LSTM, SMALL_MLP, SMALL_RESNET, blobs, make, of_type
from tests.engine.forked import finish, interrupt
from tests.engine.modules import captured
from tests.engine.test_resume import student_of
from tests.engine.test_stages import HINT
from tests.engine.texts import TINY_BERT, make_text_job, pieces

LONG: dict[str, Any] = {
    "epochs": 15,
    "batch_size": 8,
    "log_every": 1,
    "checkpoint_seconds": 0.05,
    "early_stopping": {"patience": 50},
    "optimizer": {"kind": "adamw", "learning_rate": 0.01},
}


def perceptrons(folder: Path) -> Path:
    spec = {"control": False, "augmentation": [{"kind": "noise", "std": 0.3}, {"kind": "mixup"}]}
    return make(folder, teacher=MLP, student=SMALL_MLP, training=LONG, spec=spec)


def lstm(folder: Path) -> Path:
    return make(folder, teacher=LSTM, student=SMALL_LSTM, training=LONG, spec={"control": False})


def cnn(folder: Path) -> Path:
    """Batch norm, dropout, random augmentation."""
    spec = {"control": False, "augmentation": [{"kind": "crop", "padding": 1}, {"kind": "flip"}, {"kind": "cutmix"}]}
    inputs, labels = blobs(120, (1, 8, 8))
    student = captured("cnn")[1].architecture
    return make(folder, teacher=RESNET, student=student, inputs=inputs, labels=labels, training=LONG, spec=spec)


def transformer(folder: Path) -> Path:
    """Micro-batches, bf16, dropout."""
    config = {**TINY_BERT, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}
    student = Transformers(config=config, classes=2)
    training = {**LONG, "accumulation": 2, "precision": "bf16", "epochs": 10}
    return make_text_job(
        folder, student=student, read_by_teacher=pieces(), read_by_student=pieces(), training=training,
        spec={"control": False},
    )  # fmt: skip


def two_stages(folder: Path) -> Path:
    """A stage that trains the student by hints, another that trains the adapters alone, then all of them."""
    stages = [
        {"name": "hints", "objective": [HINT], "epochs": 5},
        {"name": "regressor", "objective": [HINT], "epochs": 5, "trains": "terms"},
    ]
    spec = {"control": False, "stages": stages, "objective": [{"kind": "soft_target"}, HINT]}
    return make(folder, teacher=RESNET, student=SMALL_RESNET, training={**LONG, "epochs": 5}, spec=spec)


@pytest.mark.parametrize("lay_out", [perceptrons, lstm, cnn, transformer, two_stages])
def test_the_student_is_bit_identical_after_any_number_of_kills(
    tmp_path: Path, lay_out: Callable[[Path], Path]
) -> None:
    whole, cut = lay_out(tmp_path / "whole"), lay_out(tmp_path / "cut")
    finish(whole)
    draw, steps = random.Random(lay_out.__name__), len(of_type(whole, "step"))
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL]
    for number in signals:
        code = interrupt(cut, number, draw.randint(steps // 10, steps // 5))
        assert code == (EXIT_STOPPED if number == signal.SIGTERM else -number)
    finish(cut)
    assert len(of_type(cut, "resumed")) >= len(signals) - 1  # a kill may come before the first checkpoint
    assert student_of(cut) == student_of(whole)
    stages = {event.stage for event in of_type(cut, "resumed")}
    assert len(stages) > 1 or lay_out is not two_stages
