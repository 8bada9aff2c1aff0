"""Gaussian noise. B = batch."""

from math import prod

from torch import Tensor

from app.contract.augmentations import Noise
from worker.engine.views.draws import Draws


def change(step: Noise, raw: Tensor, draws: Draws) -> Tensor:
    """Add normal noise to each value of (B, ...)."""
    return raw + step.std * draws.normal(prod(raw.shape[1:])).view_as(raw)
