"""Colour jitter: Howard 2013, arXiv:1312.5402. B = batch, C = channels, H, W = height, width."""

import torch
from torch import Tensor

from app.contract.augmentations import Colour
from worker.engine.views.draws import Draws

_GREY_C = (0.299, 0.587, 0.114)
"""ITU-R BT.601: what red, green and blue add to the light."""


def change(step: Colour, raw: Tensor, draws: Draws) -> Tensor:
    """Scale brightness, then contrast, then saturation of (B, C, H, W); values may leave their range."""
    widths = torch.tensor([step.brightness, step.contrast, step.saturation], device=raw.device)
    factors_B3 = 1 + widths * (2 * draws.uniform(3) - 1)
    bright, contrast, colour = factors_B3[:, :, None, None, None].unbind(1)
    raw = raw * bright
    mean = _grey(raw).mean(dim=(1, 2, 3), keepdim=True)
    raw = mean + contrast * (raw - mean)
    if not step.saturation:
        return raw
    grey = _grey(raw)
    return grey + colour * (raw - grey)


def _grey(raw: Tensor) -> Tensor:
    """Return (B, 1, H, W)."""
    if raw.shape[1] != 3:
        return raw.mean(1, keepdim=True)
    return (raw * torch.tensor(_GREY_C, device=raw.device)[:, None, None]).sum(1, keepdim=True)
