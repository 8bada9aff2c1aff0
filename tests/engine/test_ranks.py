"""A job in several processes: the student of one process that accumulates, whatever is killed in between."""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from app.contract.architectures import Mlp
from app.contract.job_file import EXIT_OUT_OF_MEMORY, EXIT_PEER_LOST, EXIT_STOPPED
from app.contract.report import Report
from tests.engine import forked, ranked
from tests.engine.folders import MLP, RESNET, blobs, make, of_type
from tests.engine.modules import captured
from tests.engine.ranked import TWO
from tests.engine.tagged import make_tagged_job
from tests.engine.test_kills import LONG
from tests.engine.test_resume import student_of

PLAIN = Mlp(inputs=6, hidden=(4, 4), classes=3)
"""Without dropout and batch norm."""
AFTER = [{"teacher": "hidden:1", "student": "hidden:1"}]


def remembering(folder: Path) -> Path:
    """Losses with weights and memories of their own, in two stages; the last batch of an epoch is one sample."""
    hint = {"kind": "hint", "layers": AFTER}
    losses = [
        {"kind": "soft_target"}, {"kind": "hard_target", "weight": 0.3}, hint,
        {"kind": "crd", "layers": AFTER, "negatives": 8, "dimensions": 4},
        {"kind": "similarity_distribution", "layers": AFTER, "size": 50},
    ]  # fmt: skip
    spec = {"objective": losses, "stages": [{"name": "hints", "objective": [hint], "epochs": 1}], **TWO}
    training = {"batch_size": 107, "epochs": 6, "clip_norm": 0.5, "early_stopping": {"patience": 2}}
    return make(folder, teacher=MLP, student=PLAIN, training=training, spec=spec)


def born_again(folder: Path) -> Path:
    """Fresh views, for which the teachers look again, and so many samples that evaluations are shared out, too."""
    inputs, labels = blobs(6000)
    spec = {"augmentation": [{"kind": "noise", "std": 0.3}, {"kind": "mixup"}], "generations": 2, "control": False}
    training = {"epochs": 2, "batch_size": 200}
    return make(folder, student=PLAIN, inputs=inputs, labels=labels, training=training, spec={**spec, **TWO})


def tagged_words(folder: Path) -> Path:
    """Lists of words, whose lengths differ: the shares of a batch have other numbers of words."""
    return make_tagged_job(folder, training={"epochs": 1}, spec={"control": False, **TWO})


def report_of(folder: Path) -> Report:
    return Report.model_validate_json((folder / "out" / "report.json").read_bytes())


@pytest.mark.parametrize("lay_out", [remembering, born_again, tagged_words])
def test_two_processes_make_the_student_that_one_makes_of_the_same_micro_batches(tmp_path: Path, lay_out: Any) -> None:
    alone, together = lay_out(tmp_path / "alone"), lay_out(tmp_path / "together")
    forked.finish(alone)
    ranked.finish(together)
    assert student_of(together) == student_of(alone)
    assert [(event.run, event.step, event.metrics) for event in of_type(together, "evaluation")] == [
        (event.run, event.step, event.metrics) for event in of_type(alone, "evaluation")
    ]
    assert [event.type for event in of_type(together, "finished")] == ["finished"]
    one, two = report_of(alone), report_of(together)
    assert (one.hardware.devices, two.hardware.devices) == (1, 2)
    assert (two.soft_targets, two.stop_reason, two.student.accuracy) == (
        one.soft_targets, one.stop_reason, one.student.accuracy,
    )  # fmt: skip


def cnn(folder: Path) -> Path:
    """Batch norm and dropout, which each process has of its own, and random augmentation."""
    spec = {"control": False, "augmentation": [{"kind": "crop", "padding": 1}, {"kind": "cutmix"}], **TWO}
    inputs, labels = blobs(120, (1, 8, 8))
    student = captured("cnn")[1].architecture
    training = {**LONG, "accumulation": 3, "epochs": 6}
    return make(folder, teacher=RESNET, student=student, inputs=inputs, labels=labels, training=training, spec=spec)


def test_killed_and_stopped_it_goes_on_to_the_same_student_and_alone_says_so(tmp_path: Path) -> None:
    whole, cut = cnn(tmp_path / "whole"), cnn(tmp_path / "cut")
    ranked.finish(whole)
    steps = len(of_type(whole, "step"))
    assert ranked.interrupt(cut, [0, signal.SIGKILL], steps // 5) == [EXIT_PEER_LOST, -signal.SIGKILL]
    assert ranked.interrupt(cut, [0, signal.SIGTERM], steps // 5) == [EXIT_STOPPED, EXIT_STOPPED]
    shutil.copytree(cut, tmp_path / "alone")
    assert ranked.interrupt(cut, [signal.SIGKILL, 0], steps // 5) == [-signal.SIGKILL, EXIT_PEER_LOST]
    ranked.finish(cut)
    assert len(of_type(cut, "resumed")) == 3
    assert student_of(cut) == student_of(whole)
    assert not of_type(cut, "failed")
    forked.finish(tmp_path / "alone")
    assert "2 processes" in of_type(tmp_path / "alone", "notice")[-1].text


def test_the_failure_of_any_process_is_the_jobs(tmp_path: Path) -> None:
    folder = make(tmp_path, spec=TWO)
    assert ranked.codes(ranked.start(folder, cramped=1)) == [EXIT_PEER_LOST, EXIT_OUT_OF_MEMORY]
    [failed] = of_type(folder, "failed")
    assert (failed.code, failed.detail) == ("out_of_memory", "not a byte is left")


def test_as_many_processes_as_the_job_has_devices(tmp_path: Path) -> None:
    folder = make(tmp_path)
    assert ranked.codes(ranked.start(folder)) == [1, 1]
    [failed] = of_type(folder, "failed")
    assert failed.detail == "The job asks for 1 devices, and was started as 2 processes."
