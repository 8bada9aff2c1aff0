"""Calibration against a literal transcription of the paper's definitions."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.report import calibration


def literal_ece(probabilities: list[list[float]], labels: list[int], bins: int = 15) -> float:
    """Guo et al. 2017, eq. 2 and 3: bins ((m-1)/M, m/M]."""
    error = 0.0
    for m in range(1, bins + 1):
        inside = [
            (max(p), p.index(max(p)) == y)
            for p, y in zip(probabilities, labels, strict=True)
            if (m - 1) / bins < max(p) <= m / bins
        ]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(right for _, right in inside) / len(inside)
            error += len(inside) / len(labels) * abs(accuracy - confidence)
    return error


@given(seed=st.integers(0, 1000), samples=st.integers(1, 60), classes=st.integers(2, 6))
def test_ece_is_the_papers(seed: int, samples: int, classes: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits_NC = 3 * torch.randn(samples, classes, generator=draw, dtype=torch.float64)
    labels_N = torch.randint(0, classes, (samples,), generator=draw)
    expected = literal_ece(torch.softmax(logits_NC, 1).tolist(), labels_N.tolist())
    assert calibration.expected_calibration_error(logits_NC, labels_N) == pytest.approx(expected, abs=1e-12)


def test_ece_of_certainty() -> None:
    logits_NC = torch.tensor([[1000.0, 0.0]] * 4, dtype=torch.float64)
    assert calibration.expected_calibration_error(logits_NC, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.25)


def test_scaling_finds_the_minimum_of_the_nll() -> None:
    draw = torch.Generator().manual_seed(0)
    truth_NC = torch.randn(4000, 3, generator=draw, dtype=torch.float64)
    labels_N = torch.multinomial(torch.softmax(truth_NC, 1), 1, generator=draw).squeeze(1)
    overconfident_NC = 4 * truth_NC
    found = calibration.scaling_temperature(overconfident_NC, labels_N)
    assert found == pytest.approx(4, rel=0.1)
    nll = calibration.negative_log_likelihood
    best = nll(overconfident_NC / found, labels_N)
    assert all(nll(overconfident_NC / (found * factor), labels_N) > best for factor in (0.99, 1.01))
    before = calibration.expected_calibration_error(overconfident_NC, labels_N)
    assert calibration.expected_calibration_error(overconfident_NC / found, labels_N) < before / 3


def test_scaling_stays_finite_for_a_network_that_is_never_wrong() -> None:
    logits_NC = torch.eye(3, dtype=torch.float64) * 10
    assert calibration.scaling_temperature(logits_NC, torch.arange(3)) == pytest.approx(0.01)


def test_divergence_in_closed_form() -> None:
    teacher_NC = torch.log(torch.tensor([[0.5, 0.5], [0.9, 0.1]], dtype=torch.float64))
    student_NC = torch.log(torch.tensor([[0.8, 0.2], [0.9, 0.1]], dtype=torch.float64)) + 7
    expected = (0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2)) / 2
    assert calibration.divergence(teacher_NC, student_NC) == pytest.approx(expected)
