"""Values less their mean, over their standard deviation: z-scores, and what Pearson's correlation multiplies."""

import torch
from torch import Tensor

_ROUNDING = 8
"""Differences of so many units in the last place are none."""


def standardized(values: Tensor, dim: int) -> Tensor:
    """Return z-scores along a dimension, of mean 0 and mean square 1; 0, without a gradient, where all are equal."""
    centred = values - values.mean(dim, keepdim=True)
    # Scores do not depend on the scale, so dividing by it first changes nothing but that no square can underflow.
    scale = centred.detach().abs().amax(dim, keepdim=True)
    kind = torch.finfo(values.dtype)
    differ = scale > (_ROUNDING * kind.eps * values.detach().abs().amax(dim, keepdim=True)).clamp(min=kind.tiny)
    centred = centred / scale.where(differ, 1.0)
    spread = centred.square().mean(dim, keepdim=True).where(differ, 1.0).sqrt()
    return (centred / spread).where(differ, 0.0)
