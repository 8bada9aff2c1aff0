"""Horizontal flips. B = batch, C = channels, H, W = height, width."""

import torch

from app.contract.augmentations import Flip
from worker.engine.draws import Draws
from worker.engine.samples import Raw


def change(step: Flip, raw: Raw, draws: Draws) -> Raw:
    """Mirror each image of (B, C, H, W) with the step's probability."""
    mirrored_B = draws.uniform(1)[:, 0] < step.probability
    return torch.where(mirrored_B[:, None, None, None], raw.flip(3), raw)
