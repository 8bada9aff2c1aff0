"""How far distributions are apart, in logarithms throughout, so that nothing is lost at saturation.

B = batch, C = classes.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import kl_div, logsigmoid


def divergence(teacher_BC: Tensor, student_BC: Tensor) -> Tensor:
    """Return KL(teacher ‖ student) of log-probabilities (B,), in nats.

    Both as logarithms: at saturation exp(log p) · (log p - log q) is 0 where p · log p would be NaN.
    """
    return kl_div(student_BC, teacher_BC, reduction="none", log_target=True).sum(1)


def mixture(first_BC: Tensor, second_BC: Tensor, share: float) -> Tensor:
    """Return the log-probabilities (B, C) of share · first + (1 - share) · second, of theirs; 0 < share < 1."""
    return torch.logaddexp(first_BC + math.log(share), second_BC + math.log1p(-share))


def binary_divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """Return KL(sigmoid(teacher) ‖ sigmoid(student)) of logits, each a distribution over yes and no; in their shape."""
    yes = kl_div(logsigmoid(student), logsigmoid(teacher), reduction="none", log_target=True)
    return yes + kl_div(logsigmoid(-student), logsigmoid(-teacher), reduction="none", log_target=True)
