"""Every method of the catalogue in whole jobs, all of them added up: they train, resume to the bit, and leave no trace.

Which methods a network can have is found out by asking, and each must work with one of the networks here.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from app.contract.architectures import Resnet, Transformers
from app.contract.events import Run
from app.contract.objectives import TERMS
from tests.engine.folders import blobs, make, of_type
from tests.engine.test_resume import stopped_at, student_of
from tests.engine.texts import TINY_BERT, make_text_job, pieces
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.failures import EngineFailure

KINDS = [term.model_fields["kind"].default for term in TERMS]
ALONE = {"simkd"}
"""Replaces the classifier that terms of outputs would train."""
A_STAGE_FIRST = {"factor_transfer"}
LayOut = Callable[[Path], Bench]
Make = Callable[[Path, list[dict[str, Any]]], Path]
_STUDENT = {**TINY_BERT, "num_hidden_layers": 2, "hidden_size": 8, "intermediate_size": 8}


def images(folder: Path, objective: list[dict[str, Any]]) -> Path:
    """Return a job whose teacher and student have other widths."""
    inputs, labels = blobs(120, (1, 8, 8))
    training = {"epochs": 2, "batch_size": 40, "accumulation": 2, "precision": "bf16", "checkpoint_seconds": 0}
    return make(
        folder,
        teacher=Resnet(depth=8, widths=(4, 4, 6, 8), channels=1, classes=3),
        student=Resnet(depth=8, widths=(2, 2, 4, 4), channels=1, classes=3),
        inputs=inputs,
        labels=np.where(np.arange(len(labels)) % 3, labels, -1),
        spec={"objective": objective, "control": False},
        training=training,
    )


def texts(folder: Path, objective: list[dict[str, Any]]) -> Path:
    training = {"epochs": 2, "batch_size": 40, "accumulation": 2, "checkpoint_seconds": 0}
    return make_text_job(
        folder,
        teacher=Transformers(config=TINY_BERT, classes=2),
        student=Transformers(config=_STUDENT, classes=2),
        read_by_teacher=pieces(),
        read_by_student=pieces(),
        spec={"objective": objective, "control": False},
        training=training,
    )


def usable(folder: Path, made: Make, lay_out: LayOut) -> list[str]:
    """Return the kinds that a job can have, at their defaults."""
    found = []
    for kind in KINDS:
        try:
            bench = lay_out(made(folder / kind, [{"kind": kind}]))
            bench.training_run(bench.lessons(Run.STUDENT)[-1])
        except EngineFailure:
            continue
        found.append(kind)
    return found


@pytest.fixture(scope="module")
def works() -> dict[str, list[str]]:
    return {}


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize("made", [images, texts])
def test_all_methods_together_resume_to_the_bit(
    tmp_path: Path,
    lay_out: LayOut,
    run_here: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    works: dict[str, list[str]],
    made: Make,
    half: int,
) -> None:
    # In two halves: an objective has up to 32 terms.
    able = works.setdefault(made.__name__, usable(tmp_path / "asked", made, lay_out))
    kinds = [kind for kind in able if kind not in ALONE][half::2]
    # So that no term drowns the others, and none is so large that the student is lost.
    objective = [{"kind": kind, "weight": 1e-3} for kind in kinds]
    whole, cut = (made(tmp_path / name, objective) for name in ("whole", "cut"))
    run_here(whole)
    stopped_at(cut, run_here, monkeypatch, 9)
    run_here(cut)
    assert of_type(cut, "resumed")
    assert student_of(cut) == student_of(whole)
    told = {name for event in of_type(whole, "step") for name in event.metrics if name.startswith("loss/")}
    assert told == {f"loss/{kind}" for kind in kinds}
    exported = load_file(whole / "out" / "student.safetensors")
    architecture = json.loads((whole / "out" / "manifest.json").read_bytes())["architecture"]
    assert exported.keys() == fresh(architecture).state_dict().keys()


def fresh(architecture: dict[str, Any]) -> torch.nn.Module:
    kinds = {"resnet": Resnet, "transformers": Transformers}
    return build.network(kinds[architecture["kind"]].model_validate(architecture))


def test_each_method_works_with_images_or_texts(tmp_path: Path, lay_out: LayOut, works: dict[str, list[str]]) -> None:
    for made in (images, texts):
        works.setdefault(made.__name__, usable(tmp_path / made.__name__, made, lay_out))
    missing = set(KINDS) - set(works["images"]) - set(works["texts"])
    assert missing == A_STAGE_FIRST
