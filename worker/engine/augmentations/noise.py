"""Gaussian noise. B = batch."""

from math import prod

from app.contract.augmentations import Noise
from worker.engine.draws import Draws
from worker.engine.samples import Raw


def change(step: Noise, raw: Raw, draws: Draws) -> Raw:
    """Add normal noise to each value of (B, ...)."""
    return raw + step.std * draws.normal(prod(raw.shape[1:])).view_as(raw)
