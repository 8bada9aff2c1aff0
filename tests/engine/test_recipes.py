"""Methods that are no term of their own but a way to put a job together: `docs/recipes.md`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.contract.report import Report
from app.contract.states import FailureCode
from tests.engine.folders import RESNET, SMALL_RESNET, make
from tests.engine.methods import METHODS
from worker.engine.failures import EngineFailure

RunHere = Callable[[Path], None]


def test_function_matching(tmp_path: Path, run_here: RunHere) -> None:
    """Beyer et al. 2022: soft targets alone, on fresh mixed views that teacher and student see alike."""
    spec = {
        "objective": [{"kind": "soft_target", "temperature": 1}],
        "augmentation": [{"kind": "crop", "padding": 1}, {"kind": "mixup", "alpha": 1}],
    }
    training = {"epochs": 6, "optimizer": {"kind": "adamw", "learning_rate": 0.01}}
    job = {"teacher": RESNET, "student": SMALL_RESNET, "labels": np.full(120, -1), "spec": spec, "training": training}
    run_here(make(tmp_path, **job))
    report = Report.model_validate(json.loads((tmp_path / "out" / "report.json").read_text()))
    losses = report.curves["student"]["loss"].values
    assert losses[-1] < losses[0] / 2
    assert report.student.agreement is not None
    assert report.student.agreement > 0.5


def test_a_method_that_two_classes_leave_nothing_to_is_refused(tmp_path: Path, run_here: RunHere) -> None:
    teacher, student = (network.model_copy(update={"classes": 2}) for network in (RESNET, SMALL_RESNET))
    spec = {"objective": [{"kind": "hard_target"}, {"kind": "dkd"}]}
    make(tmp_path, teacher=teacher, student=student, labels=np.arange(120) % 2, spec=spec)
    with pytest.raises(EngineFailure, match="/objective/1: Decoupled distillation compares the classes") as refused:
        run_here(tmp_path)
    assert refused.value.code == FailureCode.INVALID_SPEC


def test_every_logit_method_at_once(tmp_path: Path, run_here: RunHere) -> None:
    """Half of the samples without a label, in micro-batches, mixed with one another."""
    terms = [{"kind": kind, "weight": 0.1} for kind, method in METHODS.items() if method.branch == "target"]
    spec = {"objective": terms, "augmentation": [{"kind": "mixup"}], "control": False}
    labels = np.where(np.arange(120) % 2, np.arange(120) % 3, -1)
    run_here(make(tmp_path, labels=labels, spec=spec, training={"epochs": 8, "accumulation": 2}))
    report = Report.model_validate(json.loads((tmp_path / "out" / "report.json").read_text()))
    losses = report.curves["student"]["loss"].values
    assert losses[-1] < losses[0]
    assert {f"loss/{term['kind']}" for term in terms} <= report.curves["student"].keys()
