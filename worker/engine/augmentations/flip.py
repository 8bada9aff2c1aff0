"""Horizontal flips. B = batch, C = channels, H, W = height, width."""

import torch
from torch import Tensor

from app.contract.augmentations import Flip
from worker.engine.views.draws import Draws


def change(step: Flip, raw: Tensor, draws: Draws) -> Tensor:
    """Mirror each image of (B, C, H, W) with the step's probability."""
    mirrored_B = draws.uniform(1)[:, 0] < step.probability
    return torch.where(mirrored_B[:, None, None, None], raw.flip(3), raw)
