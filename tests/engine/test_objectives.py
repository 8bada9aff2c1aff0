"""What single methods promise beyond their formulas, which `test_methods` holds against the papers'. B = batch."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from app.contract.objectives import HardTarget, SoftTarget
from app.contract.schedules import Linear
from tests.engine.methods import alone, example, gradient, loss, whole
from worker.engine import build
from worker.engine.terms.batch import Batch
from worker.engine.terms.objective import Objective


def with_logits(batch: Batch, student_BC: Tensor, teacher_BC: Tensor | None = None) -> Batch:
    student_BC = student_BC.detach().requires_grad_()
    return replace(batch, student_BC=student_BC, teacher_BC=batch.teacher_BC if teacher_BC is None else teacher_BC)


def test_the_factor_keeps_the_gradient_at_high_temperature_at_that_of_logit_regression() -> None:
    term, batch = example("soft_target", temperature=1e5)
    student_BC, teacher_BC = (
        found_BC - found_BC.mean(1, keepdim=True) for found_BC in (batch.student_BC.detach(), batch.teacher_BC)
        if found_BC is not None
    )  # fmt: skip
    batch = with_logits(batch, student_BC, teacher_BC)
    # Hinton et al. 2015, eq. 4: T² · (1 / (C T²)) · (s - t), here averaged over the batch.
    expected = (student_BC - teacher_BC) / student_BC.numel()
    torch.testing.assert_close(gradient(loss(term, batch), batch), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_decoupled_parts_weighed_as_the_teacher_is_unsure_are_soft_targets(temperature: float) -> None:
    """Zhao et al. 2022, eq. 5: KL = TCKD + (1 - p_y) · NCKD."""
    soft, batch = example("soft_target", temperature=temperature)
    for row in (1, 2, 3, 4):
        one = alone(batch, [row])
        assert one.teacher_BC is not None
        unsure = 1 - torch.softmax(one.teacher_BC / temperature, 1)[0, one.labels_B[0]].item()
        term, _ = example("dkd", alpha=1.0, beta=unsure, temperature=temperature)
        torch.testing.assert_close(loss(term, one), loss(soft, one))


def test_a_decoupled_student_that_is_sure_of_the_wrong_class_costs_what_it_should() -> None:
    """The sum of the other classes' probabilities rounds to 1 here, and its complement's logarithm would be -inf."""
    student_BC = torch.tensor([[0.0, 1e4, 0.0]], requires_grad=True)
    batch = whole(student_BC, torch.zeros(1, 3), torch.tensor([0]))
    target, _ = example("dkd", temperature=1.0, beta=0.0)
    others, _ = example("dkd", temperature=1.0, alpha=0.0, beta=1.0)
    # (1/3, 2/3) against (e^-10⁴, 1); then (1/2, 1/2) against (1, e^-10⁴).
    assert loss(target, batch).item() == pytest.approx(1e4 / 3, rel=1e-3)
    assert loss(others, batch).item() == pytest.approx(1e4 / 2, rel=1e-3)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_skew_is_bounded_where_a_divergence_is_not(direction: str) -> None:
    term, batch = example("skew_kl", direction=direction, alpha=0.1)
    opposite = with_logits(batch, -1e3 * torch.ones(6, 1) * batch.student_BC, 1e3 * batch.student_BC.detach())
    assert loss(term, opposite).item() == pytest.approx(-torch.tensor(0.1).log().item(), rel=1e-6)


def test_jensen_shannon_lies_between_both_divergences() -> None:
    """Agarwal et al. 2023, section 2: over β it tends to soft targets at 0; by symmetry to reverse KL at 1."""
    soft, batch = example("soft_target", temperature=1.0)
    reverse, _ = example("reverse_kl")
    for beta, like in ((1e-6, soft), (1 - 1e-6, reverse)):
        term, _ = example("jsd", beta=beta)
        found = loss(term, batch) / min(beta, 1 - beta)
        torch.testing.assert_close(found, loss(like, batch), rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", ["logit_standardized", "dist"])
def test_a_student_of_another_scale_has_nothing_to_learn(kind: str) -> None:
    term, batch = example(kind)
    assert batch.teacher_BC is not None
    if kind == "logit_standardized":
        other = with_logits(batch, 5 * batch.teacher_BC - 3)
    else:  # of correlations the probabilities may have another scale: here, halfway to the uniform distribution
        uniform_BC = torch.full((6, 4), 0.25, dtype=torch.float64)
        other = with_logits(batch, (0.5 * torch.softmax(batch.teacher_BC, 1) + 0.5 * uniform_BC).log())
    found = loss(term, other)
    assert found.item() == pytest.approx(0, abs=1e-12)
    assert gradient(found, other).abs().max() < 1e-7


@pytest.mark.parametrize("kind", ["logit_standardized", "dist"])
@pytest.mark.parametrize("level", [0.0, 0.1, 1e4])
def test_logits_that_are_all_equal_have_no_direction(kind: str, level: float) -> None:
    """As those of a new head of zeros; the published code divides by next to nothing."""
    term, batch = example(kind)
    assert batch.teacher_BC is not None
    batch = with_logits(batch, torch.full((6, 4), level), batch.teacher_BC.float())
    assert not gradient(loss(term, batch), batch).any()


def test_the_objective_adds_weighted_terms_and_names_each() -> None:
    _, batch = example("soft_target")
    terms = (SoftTarget(weight=Linear(start=0, end=1)), HardTarget(weight=2), SoftTarget(temperature=1, weight=0))
    objective: Objective = build.objective(terms)
    found, values = objective(batch)
    assert objective.names == ("soft_target", "hard_target", "soft_target_2", "loss")
    assert found.item() == pytest.approx(0.5 * values[0].item() + 2 * values[1].item())
    assert values[3].item() == pytest.approx(found.item())
    assert not values.requires_grad
