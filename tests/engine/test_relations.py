"""Channels, relations and dense maps beside what holds for all methods: shapes, padding, memory, masks, whole jobs.

B = batch, K = channels, L = tokens.
"""

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from app.contract.architectures import Architecture
from app.contract.objectives import FeatureTerm, ObjectiveTerm
from app.contract.taps import Layout
from tests.engine.folders import LSTM, MLP, RESNET, SMALL_LSTM, SMALL_MLP, SMALL_RESNET, events, make
from tests.engine.methods import HALFWAY, setting
from tests.engine.test_resume import stopped_at, student_of
from tests.engine.transcriptions_relations import RELATIONS
from worker.engine import build
from worker.engine.taps.feature import Feature
from worker.engine.terms import pieces
from worker.engine.terms.batch import Batch
from worker.engine.terms.held import Held
from worker.engine.terms.joint import Joint
from worker.engine.terms.objective import Objective

TERM: TypeAdapter[Any] = TypeAdapter(ObjectiveTerm)
KINDS = list(RELATIONS)
ACROSS = ["similarity_preserving", "rkd", "pkt", "correlation_congruence"]
"""Those that compare samples, and no channels."""


def term_of(kind: str, **settings: Any) -> Any:
    return TERM.validate_python({"kind": kind, "weight": 1.0, **settings})


def joint_of(student: Feature, teacher: Feature) -> Joint:
    return Joint(teacher.tap("there"), student.tap("here"), 1.0)


def made(term: FeatureTerm, student: Feature, teacher: Feature) -> Objective:
    torch.manual_seed(0)
    joint = joint_of(student, teacher)
    assert term.refuses_pair(joint.teacher, joint.student) is None
    objective = build.objective([term], lambda _: setting({"layers": (joint,)}))  # type: ignore[list-item]  # the union's members
    return objective.to(student.value.dtype)


def value(objective: Objective, student: Feature, teacher: Feature, whole: int | None = None) -> Tensor:
    size = len(teacher)
    labels_B = torch.arange(size) % 3 - 1
    labelled = int((labels_B >= 0).sum())
    held = Held({"here": student}, {(0, "there"): teacher}, torch.arange(size), labels_B, whole or size, labelled)
    logits = torch.zeros(size, 2)
    loss, _ = objective(Batch(logits, logits, labels_B, whole or size, labelled, HALFWAY, features=held))
    return loss


def feature(*shape: int, seed: int = 0, scale: float = 1.0, layout: Layout = "map") -> Feature:
    draw = torch.Generator().manual_seed(seed)
    return Feature((torch.randn(*shape, generator=draw, dtype=torch.float64) * scale).requires_grad_(), layout)


def pair(*shape: int) -> tuple[Feature, Feature]:
    return feature(*shape, seed=1), Feature(feature(*shape, seed=2).value.detach(), "map")


def gradient(loss: Tensor, student: Feature) -> Tensor:
    (found,) = torch.autograd.grad(loss, student.value)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_sample_twice_is_nothing_special(kind: str) -> None:
    rows = torch.tensor([0, 1, 1, 3])
    student, teacher = (Feature(found.value[rows], "map") for found in pair(4, 3, 2, 2))
    found = value(made(term_of(kind), student, teacher), student, teacher)
    assert torch.isfinite(found)
    assert torch.isfinite(gradient(found, student)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_other_shapes_are_brought_together(kind: str) -> None:
    student, teacher = feature(4, 2, 2, 2), Feature(feature(4, 3, 4, 4, seed=1).value.detach(), "map")
    objective = made(term_of(kind), student, teacher)
    found = value(objective, student, teacher)
    assert gradient(found, student).abs().sum() > 0
    assert bool(list(objective.parameters())) != (kind in ACROSS)


@pytest.mark.parametrize("kind", ACROSS)
def test_relations_do_not_depend_on_padding(kind: str) -> None:
    student_BLD, teacher_BLD = feature(4, 5, 3).value, feature(4, 5, 6, seed=1).value.detach()
    mask_BL = torch.arange(5) < torch.tensor([[5], [3], [2], [4]])
    junk_BLD = torch.where(mask_BL[:, :, None], student_BLD, 1e3)
    teacher = Feature(teacher_BLD, "tokens", mask_BL)
    objective = made(term_of(kind), Feature(student_BLD, "tokens", mask_BL), teacher)
    values = [value(objective, Feature(found, "tokens", mask_BL), teacher) for found in (student_BLD, junk_BLD)]
    assert torch.equal(*values)
    pooled = Feature(teacher.pooled(), "vector")
    torch.testing.assert_close(value(objective, Feature(student_BLD, "tokens", mask_BL), pooled), values[0])


def test_soft_targets_of_tokens_leave_padding_out() -> None:
    mask_BL = torch.arange(4) < torch.tensor([[4], [2]])
    student, teacher = (Feature(feature(2, 4, 3, seed=seed).value, "tokens", mask_BL) for seed in (0, 1))
    found = value(made(term_of("pixelwise"), student, teacher), student, teacher)
    moved_BL = gradient(found, student).any(2)
    assert torch.equal(moved_BL, mask_BL)


@pytest.mark.parametrize("kind", ["rkd", "ickd"])
def test_pieces_change_neither_value_nor_gradient_and_bound_what_is_kept(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    student, teacher = pair(8, 4, 2, 2)
    objective = made(term_of(kind), student, teacher)
    found = value(objective, student, teacher)
    expected = gradient(found, student)
    monkeypatch.setattr(pieces, "AT_ONCE", 100)
    kept: list[weakref.ref[Tensor]] = []
    largest = 0

    def look(tensor: Tensor) -> Tensor:
        nonlocal largest
        largest = max(largest, tensor.numel())
        kept.append(weakref.ref(tensor))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(look, lambda tensor: tensor):
        cut = value(objective, student, teacher)
    assert largest <= 8 * 16
    torch.testing.assert_close(cut, found)
    torch.testing.assert_close(gradient(cut, student), expected)


@pytest.mark.parametrize(("mask", "axes"), [("positions", (1,)), ("channels", (2, 3))])
def test_masks_hide_positions_or_channels(mask: str, axes: tuple[int, ...]) -> None:
    student, teacher = pair(64, 8, 4, 4)
    objective = made(term_of("mgd", mask=mask, masked=0.5), student, teacher)
    torch.manual_seed(1)
    found = value(objective, student, teacher)
    moved = gradient(found, student).ne(0)
    # What is masked is so as one: in all channels, or at all positions.
    assert torch.equal(moved.any(axes), moved.all(axes))
    assert moved.double().mean() == pytest.approx(0.5, abs=0.1)
    torch.manual_seed(1)
    assert torch.equal(value(objective, student, teacher), found)
    assert not torch.equal(value(objective, student, teacher), found)


def test_what_cannot_work_is_refused() -> None:
    taps = joint_of(feature(2, 3, 4, 4), feature(2, 3, 6, 6))
    assert "grid of 4 cannot cut" in str(term_of("ickd", grid=4).refuses_pair(taps.teacher, taps.student))
    vectors = joint_of(feature(2, 3, layout="vector"), feature(2, 3, layout="vector"))
    for kind in ("cwd", "pkd", "mgd", "pixelwise", "ickd", "channel_distillation"):
        assert "layout vector" in str(term_of(kind).refuses_pair(vectors.teacher, vectors.student))
    for kind, more in (("rkd", {"distance": 0, "angle": 0}), ("pkt", {"on": "labelled"}), ("pkd", {"on": "labelled"})):
        with pytest.raises(ValidationError):
            term_of(kind, **more)


OBJECTIVE = [{"kind": "hard_target"}, {"kind": "guided_kd"}, *({"kind": kind} for kind in KINDS)]


def test_all_together_go_on_to_the_same_student(
    tmp_path: Path, run_here: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {
        "teacher": RESNET,
        "student": SMALL_RESNET,
        "spec": {"objective": OBJECTIVE, "control": False},
        "training": {"epochs": 2, "checkpoint_seconds": 0, "clip_norm": 1.0},
    }
    whole, cut = make(tmp_path / "whole", **settings), make(tmp_path / "cut", **settings)
    run_here(whole)
    stopped_at(cut, run_here, monkeypatch, 12)
    run_here(cut)
    assert student_of(cut) == student_of(whole)
    steps = [event.metrics for event in events(whole) if event.type == "step"]
    assert {f"loss/{kind}" for kind in KINDS} <= set(steps[0])
    assert all(np.isfinite(list(step.values())).all() for step in steps)


def test_all_together_in_bf16_and_micro_batches(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    training = {"epochs": 1, "precision": "bf16", "accumulation": 2, "clip_norm": 1.0}
    spec = {"objective": OBJECTIVE, "control": False}
    folder = make(tmp_path, teacher=RESNET, student=SMALL_RESNET, spec=spec, training=training)
    run_here(folder)
    assert (folder / "out" / "student.safetensors").exists()


@pytest.mark.parametrize(("teacher", "student"), [(MLP, SMALL_MLP), (LSTM, SMALL_LSTM)], ids=["mlp", "lstm"])
def test_relations_need_no_maps(
    tmp_path: Path, run_here: Callable[[Path], None], teacher: Architecture, student: Architecture
) -> None:
    """As they stand: vectors of tables, steps of series."""
    spec = {"objective": [{"kind": kind} for kind in ACROSS], "control": False}
    folder = make(tmp_path, teacher=teacher, student=student, spec=spec, training={"epochs": 6, "clip_norm": 1.0})
    run_here(folder)
    losses = [event.metrics["loss"] for event in events(folder) if event.type == "step"]
    assert losses[-1] < losses[0]
