"""Calibration: expected calibration error and temperature scaling (Guo et al. 2017, arXiv:1706.04599).

N = labelled samples, C = classes; logits in float64.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, softmax

from app.contract.report import Reliability

BINS = 15
_LOWEST, _HIGHEST = 0.01, 100.0
"""Where the scaling temperature is looked for: a network that is never wrong would want 0."""
_HALVINGS = 60


def expected_calibration_error(logits_NC: Tensor, labels_N: Tensor) -> float:
    """Return Σ_bins |bin| / N · |accuracy - mean confidence| over the bins of `reliability`."""
    bins = reliability(logits_NC, labels_N)
    gaps = zip(bins.counts, bins.accuracy, bins.confidence, strict=True)
    return sum(count * abs(right - sure) for count, right, sure in gaps) / len(labels_N)


def reliability(logits_NC: Tensor, labels_N: Tensor) -> Reliability:
    """Return how right and how confident a network is in 15 bins of equal width, each open to the left."""
    confidence_N, predicted_N = softmax(logits_NC, dim=1).max(dim=1)
    right_N = (predicted_N == labels_N).to(torch.float64)
    bin_N = (confidence_N * BINS).ceil().long().clamp(1, BINS) - 1
    counts = torch.bincount(bin_N, minlength=BINS)
    summed = [torch.zeros(BINS, dtype=torch.float64).index_add_(0, bin_N, each_N) for each_N in (confidence_N, right_N)]
    confidence, accuracy = [(total / counts.clamp(min=1)).tolist() for total in summed]
    return Reliability(counts=counts.tolist(), confidence=confidence, accuracy=accuracy)


def scaling_temperature(logits_NC: Tensor, labels_N: Tensor) -> float:
    """Return the temperature that minimises the NLL of softmax(logits / T).

    The NLL is convex in 1/T, so halving the interval of its derivative's sign finds the minimum.
    """
    low, high = math.log(1 / _HIGHEST), math.log(1 / _LOWEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _slope(logits_NC, labels_N, math.exp(middle)) > 0:
            high = middle
        else:
            low = middle
    return 1 / math.exp((low + high) / 2)


def negative_log_likelihood(logits_NC: Tensor, labels_N: Tensor) -> float:
    """Return the mean NLL of the labels in nats."""
    return float(cross_entropy(logits_NC, labels_N))


def divergence(teacher_NC: Tensor, student_NC: Tensor) -> float:
    """Return the mean KL(teacher ‖ student) in nats; never below 0 by rounding."""
    teacher_NC, student_NC = log_softmax(teacher_NC, dim=1), log_softmax(student_NC, dim=1)
    return max(float((teacher_NC.exp() * (teacher_NC - student_NC)).sum(1).mean()), 0.0)


def _slope(logits_NC: Tensor, labels_N: Tensor, sharpness: float) -> float:
    expected_N = (softmax(logits_NC * sharpness, dim=1) * logits_NC).sum(1)
    actual_N = logits_NC.gather(1, labels_N.unsqueeze(1)).squeeze(1)
    return float((expected_N - actual_N).mean())
