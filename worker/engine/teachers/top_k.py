"""A teacher's most probable classes and one for all others, at any temperature. B = batch, C = classes, K = kept ones.

With β = 1 / T, the tail weighs exp f(β), where f(β) = log Σ_tail exp(β t). f is convex and smooth; kept are its
values and slopes at β = 0 and 1, and in between it is the cubic through them (Hermite): exact at T = 1 and T -> ∞, and
close in between (f of normally distributed logits is a parabola). Above β = 1, where the tail matters little, it is a
straight line.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_CHUNK = 2**21
"""Numbers that are worked on at once, beside student logits and their gradient."""


@dataclass(frozen=True, slots=True)
class TopK:
    """What is kept of a teacher's logits t, from which log Σ exp t is subtracted."""

    values_BK: Tensor
    """float32, largest first."""
    classes_BK: Tensor
    """int64."""
    tail_B3: Tensor
    """float32: f(1), f'(1), f'(0)."""
    classes: int

    def logits(self, temperature: float) -> Tensor:
        """Return the logits over T (B, K + 1), the last one for all other classes."""
        tail_B1 = self._tail(1 / temperature).unsqueeze(1)
        return torch.cat([self.values_BK / temperature, tail_B1], dim=1)

    def _tail(self, beta: float) -> Tensor:
        value_B, slope_B, first_slope_B = self.tail_B3.unbind(1)
        if beta > 1:
            return value_B + slope_B * (beta - 1)
        first = math.log(self.classes - self.values_BK.shape[1])
        square, cube = beta**2, beta**3
        at_zero = first * (2 * cube - 3 * square + 1) + first_slope_B * (cube - 2 * square + beta)
        return at_zero + value_B * (3 * square - 2 * cube) + slope_B * (cube - square)


def top_k(logits_BC: Tensor, k: int) -> TopK:
    """Return what is kept of these logits; k is below C."""
    logs_BC = torch.log_softmax(logits_BC.float(), dim=1)
    values_BK, classes_BK = logs_BC.topk(k, dim=1)
    rest_BC = logs_BC.scatter(1, classes_BK, -math.inf)
    value_B = rest_BC.logsumexp(1)
    # A weight of 0 for the kept classes, whatever they are.
    slope_B = ((rest_BC - value_B.unsqueeze(1)).exp() * logs_BC).sum(1)
    first_slope_B = logs_BC.scatter(1, classes_BK, 0.0).sum(1) / (logits_BC.shape[1] - k)
    return TopK(values_BK, classes_BK, torch.stack([value_B, slope_B, first_slope_B], 1), logits_BC.shape[1])


def coarse(student_BC: Tensor, classes_BK: Tensor, temperature: float) -> Tensor:
    """Return a student's logits over T (B, K + 1): of these classes, and log Σ exp(s / T) of all others."""
    made: Tensor = _Coarse.apply(student_BC, classes_BK, temperature)  # type: ignore[no-untyped-call]
    return made


class _Coarse(torch.autograd.Function):
    """In chunks of samples: beside the logits and their gradient, nothing of the size of (B, C) is made."""

    @staticmethod
    def forward(ctx: Any, student_BC: Tensor, classes_BK: Tensor, temperature: float) -> Tensor:
        tails = []
        for rows in _chunks(student_BC):
            rest_BC = (student_BC[rows] / temperature).scatter_(1, classes_BK[rows], -math.inf)
            tails.append(rest_BC.logsumexp(1))
        tail_B1 = torch.cat(tails).unsqueeze(1)
        ctx.save_for_backward(student_BC, classes_BK, tail_B1)
        ctx.temperature = temperature
        return torch.cat([student_BC.gather(1, classes_BK) / temperature, tail_B1], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BK: Tensor) -> tuple[Tensor, None, None]:
        student_BC, classes_BK, tail_B1 = ctx.saved_tensors
        gradient_BK = gradient_BK / ctx.temperature
        given_BC = torch.empty_like(student_BC)
        for rows in _chunks(student_BC):
            share_BC = torch.sub(student_BC[rows] / ctx.temperature, tail_B1[rows], out=given_BC[rows]).exp_()
            share_BC.mul_(gradient_BK[rows, -1:]).scatter_(1, classes_BK[rows], gradient_BK[rows, :-1])
        return given_BC, None, None


def _chunks(student_BC: Tensor) -> list[slice]:
    size = max(1, _CHUNK // student_BC.shape[1])
    return [slice(first, first + size) for first in range(0, len(student_BC), size)]
