"""The terms against closed forms, float64 autograd and their mistakes elsewhere. B = batch, C = classes."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from app.contract.objectives import TERMS, AnnealedTarget, HardTarget, LogitMse, Part, PseudoLabel, SoftTarget, Term
from app.contract.schedules import Linear
from worker.engine import build
from worker.engine.batch import Batch, Position
from worker.engine.objective import Objective

OF_OUTPUTS = [term for term in TERMS if not term.settled]
HALFWAY = Position(5.0, 10.0)


def batch(student: Tensor, teacher: Tensor | None, labels: Tensor, position: Position = HALFWAY) -> Batch:
    return Batch(student, teacher, labels, len(student), max(int((labels >= 0).sum()), 1), position)


def value(term: Term, found: Batch) -> Tensor:
    loss, _ = build.objective([term])(found)
    return loss


def logits(rows: int = 5, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    student_BC = torch.randn(rows, classes, generator=draw, dtype=torch.float64, requires_grad=True)
    teacher_BC = 3 * torch.randn(rows, classes, generator=draw, dtype=torch.float64)
    labels_B = torch.randint(0, classes, (rows,), generator=draw)
    return student_BC, teacher_BC, labels_B


def test_soft_target_is_the_divergence_summed_over_classes_and_averaged_over_the_batch() -> None:
    student_BC, teacher_BC, labels_B = logits()
    temperature = 2.5
    expected = 0.0
    for student, teacher in zip(student_BC.tolist(), teacher_BC.tolist(), strict=True):
        p = [math.exp(t / temperature) for t in teacher]
        q = [math.exp(s / temperature) for s in student]
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        expected += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    expected *= temperature**2 / len(student_BC)
    found = value(SoftTarget(temperature=temperature), batch(student_BC, teacher_BC, labels_B))
    assert found.item() == pytest.approx(expected, rel=1e-12)


def test_the_factor_keeps_the_gradient_at_high_temperature_at_that_of_logit_regression() -> None:
    student_BC, teacher_BC, labels_B = logits()
    student_BC = (student_BC.detach() - student_BC.detach().mean(1, keepdim=True)).requires_grad_()
    teacher_BC = teacher_BC - teacher_BC.mean(1, keepdim=True)
    value(SoftTarget(temperature=1e5), batch(student_BC, teacher_BC, labels_B)).backward()
    # Hinton et al. 2015, eq. 4: T² · (1 / (C T²)) · (s - t), here averaged over the batch.
    expected = (student_BC.detach() - teacher_BC) / student_BC.numel()
    assert student_BC.grad is not None
    torch.testing.assert_close(student_BC.grad, expected, rtol=1e-3, atol=1e-6)


def test_hard_target_leaves_out_samples_without_a_label() -> None:
    student_BC, _, labels_B = logits(6)
    labels_B[1] = labels_B[4] = -1
    known = [0, 2, 3, 5]
    log_q = torch.log_softmax(student_BC, 1)
    expected = -sum(log_q[row, labels_B[row]].item() for row in known) / len(known)
    found = value(HardTarget(), batch(student_BC, None, labels_B))
    assert found.item() == pytest.approx(expected, rel=1e-12)
    found.backward()
    assert student_BC.grad is not None
    assert not student_BC.grad[[1, 4]].any()
    assert student_BC.grad[known].any(1).all()


def test_hard_target_smooths_labels_over_all_classes() -> None:
    student_BC, _, labels_B = logits(3, 4)
    target = torch.full((3, 4), 0.2 / 4, dtype=torch.float64)
    target[torch.arange(3), labels_B] += 0.8
    expected = -(target * torch.log_softmax(student_BC, 1)).sum(1).mean()
    found = value(HardTarget(label_smoothing=0.2), batch(student_BC, None, labels_B))
    torch.testing.assert_close(found, expected)


def test_a_batch_without_any_label_costs_nothing_and_moves_nothing() -> None:
    student_BC, _, _ = logits(3)
    found = value(HardTarget(), batch(student_BC, None, torch.full((3,), -1)))
    found.backward()
    assert found.item() == 0
    assert student_BC.grad is not None
    assert not student_BC.grad.any()


def test_logit_mse_averages_over_batch_and_classes() -> None:
    student_BC, teacher_BC, labels_B = logits()
    expected = ((student_BC - teacher_BC) ** 2).mean()
    torch.testing.assert_close(value(LogitMse(), batch(student_BC, teacher_BC, labels_B)), expected)


@pytest.mark.parametrize(("share", "whole"), [(0.0, "teacher"), (1.0, "labels")])
def test_annealing_ends_at_teacher_and_labels(share: float, whole: str) -> None:
    student_BC, teacher_BC, labels_B = logits()
    log_q = torch.log_softmax(student_BC, 1)
    soft = -(torch.softmax(teacher_BC, 1) * log_q).sum(1).mean()
    hard = torch.nn.functional.nll_loss(log_q, labels_B)
    found = value(AnnealedTarget(label_share=share), batch(student_BC, teacher_BC, labels_B))
    torch.testing.assert_close(found, soft if whole == "teacher" else hard)


def test_annealing_mixes_targets_and_gives_unlabelled_samples_to_the_teacher() -> None:
    student_BC, teacher_BC, labels_B = logits(4)
    labels_B[2] = -1
    found = value(AnnealedTarget(), batch(student_BC, teacher_BC, labels_B))
    target = torch.softmax(teacher_BC, 1)
    for row in (0, 1, 3):
        one_hot = torch.zeros(4, dtype=torch.float64)
        one_hot[labels_B[row]] = 1
        target[row] = 0.5 * one_hot + 0.5 * target[row]  # halfway through a line from 0 to 1
    torch.testing.assert_close(found, -(target * torch.log_softmax(student_BC, 1)).sum(1).mean())


@pytest.mark.parametrize("term", [SoftTarget, LogitMse, PseudoLabel, AnnealedTarget], ids=lambda term: term.__name__)
@pytest.mark.parametrize("part", ["labelled", "unlabelled"])
def test_a_term_on_a_part_is_the_term_on_that_part_alone(term: type[Term], part: Part) -> None:
    if term is AnnealedTarget and part == "unlabelled":
        return
    student_BC, teacher_BC, labels_B = logits(6)
    labels_B[[0, 3]] = -1
    kept = [row for row in range(6) if (labels_B[row] >= 0) == (part == "labelled")]
    found = value(term(on=part), batch(student_BC, teacher_BC, labels_B))
    alone = value(term(on="all"), batch(student_BC[kept], teacher_BC[kept], labels_B[kept]))
    torch.testing.assert_close(found, alone)
    (gradient,) = torch.autograd.grad(found, student_BC)
    others = [row for row in range(6) if row not in kept]
    assert not gradient[others].any()
    assert gradient[kept].any(1).all()


def test_pseudo_labels_are_the_teachers_classes_where_it_is_sure() -> None:
    student_BC, teacher_BC, labels_B = logits(6)
    labels_B[:4] = -1
    sure_B, class_B = torch.softmax(teacher_BC, 1).max(1)
    threshold = float(sure_B[:4].sort().values[1:3].mean())  # two of the four are surer than that
    found = value(PseudoLabel(threshold=threshold), batch(student_BC, teacher_BC, labels_B))
    log_q = torch.log_softmax(student_BC, 1)
    taken = [row for row in range(4) if sure_B[row] >= threshold]
    assert len(taken) == 2
    assert found.item() == pytest.approx(-sum(log_q[row, class_B[row]].item() for row in taken) / 4, rel=1e-12)


@pytest.mark.parametrize("term", OF_OUTPUTS, ids=lambda term: term.__name__)
def test_gradients_agree_with_finite_differences(term: type[Term]) -> None:
    student_BC, teacher_BC, labels_B = logits(4)
    labels_B[0] = -1
    made = term(weight=0.7)
    assert torch.autograd.gradcheck(lambda s: value(made, batch(s, teacher_BC, labels_B)), (student_BC,))


@pytest.mark.parametrize("term", [SoftTarget(temperature=3), LogitMse()], ids=lambda term: term.kind)
def test_a_student_like_its_teacher_has_nothing_to_learn(term: Term) -> None:
    _, teacher_BC, labels_B = logits()
    student_BC = teacher_BC.clone().requires_grad_()
    found = value(term, batch(student_BC, teacher_BC, labels_B))
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-12)
    assert student_BC.grad is not None
    assert student_BC.grad.abs().max() < 1e-12


@pytest.mark.parametrize("term", OF_OUTPUTS, ids=lambda term: term.__name__)
@settings(max_examples=25, deadline=None)
@given(scale=st.sampled_from([0.0, 1.0, 1e2, 1e4, 1e6]), seed=st.integers(0, 99), classes=st.sampled_from([2, 5]))
def test_finite_at_saturation(term: type[Term], scale: float, seed: int, classes: int) -> None:
    student_BC, teacher_BC, labels_B = logits(3, classes, seed)
    student_BC = (student_BC.detach() * scale).float().requires_grad_()
    found = value(term(), batch(student_BC, (teacher_BC * scale).float(), labels_B))
    found.backward()
    assert torch.isfinite(found)
    assert student_BC.grad is not None
    assert torch.isfinite(student_BC.grad).all()


@pytest.mark.parametrize("term", OF_OUTPUTS, ids=lambda term: term.__name__)
@pytest.mark.parametrize("parts", [1, 2, 3, 8])
@pytest.mark.parametrize("part", ["all", "labelled", "unlabelled"])
def test_shares_of_micro_batches_add_up(term: type[Term], parts: int, part: Part) -> None:
    if "labels" in term.needs and part == "unlabelled":
        return
    student_BC, teacher_BC, labels_B = logits(8)
    labels_B[:3] = -1
    labelled = int((labels_B >= 0).sum())
    objective = build.objective([term(on=part)])
    whole, _ = objective(batch(student_BC, teacher_BC, labels_B))
    (whole_gradient,) = torch.autograd.grad(whole, student_BC)
    pieces = zip(
        student_BC.tensor_split(parts), teacher_BC.tensor_split(parts), labels_B.tensor_split(parts), strict=True
    )
    total = sum(objective(Batch(s, t, y, 8, labelled, HALFWAY))[0] for s, t, y in pieces)
    assert isinstance(total, Tensor)
    (gradient,) = torch.autograd.grad(total, student_BC)
    torch.testing.assert_close(total, whole)
    torch.testing.assert_close(gradient, whole_gradient)


def test_the_objective_adds_weighted_terms_and_names_each() -> None:
    student_BC, teacher_BC, labels_B = logits()
    terms = (SoftTarget(weight=Linear(start=0, end=1)), HardTarget(weight=2), SoftTarget(temperature=1, weight=0))
    objective: Objective = build.objective(terms)
    loss, values = objective(batch(student_BC, teacher_BC, labels_B))
    assert objective.names == ("soft_target", "hard_target", "soft_target_2", "loss")
    assert loss.item() == pytest.approx(0.5 * values[0].item() + 2 * values[1].item())
    assert values[3].item() == pytest.approx(loss.item())
    assert not values.requires_grad
