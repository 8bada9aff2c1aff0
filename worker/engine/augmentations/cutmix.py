"""CutMix: Yun et al. 2019, arXiv:1905.04899. B = batch, C = channels, H, W = height, width."""

import torch
from torch import Tensor

from app.contract.augmentations import Cutmix
from worker.engine.views.draws import Draws


def share(step: Cutmix, shape: tuple[int, ...], draws: Draws) -> Tensor:
    """Return the part (B,) of each image's area that stays its own."""
    box_BHW = _boxes(step, shape, draws)
    return 1 - box_BHW.flatten(1).to(torch.float32).mean(1)


def blend(step: Cutmix, raw: Tensor, other: Tensor, draws: Draws) -> Tensor:
    """Paste a box of `other` over each image of (B, C, H, W)."""
    box_BHW = _boxes(step, tuple(raw.shape[1:]), draws)
    return torch.where(box_BHW[:, None], other, raw)


def _boxes(step: Cutmix, shape: tuple[int, ...], draws: Draws) -> Tensor:
    """Return (B, H, W), true inside each image's box: centre uniform, cut off at the border."""
    height, width = shape[1:]
    side_B = (1 - draws.beta(step.alpha)).sqrt()
    centre_B2 = draws.uniform(3)[:, 1:]
    rows_BH = _between(height, centre_B2[:, 0], side_B)
    columns_BW = _between(width, centre_B2[:, 1], side_B)
    return rows_BH[:, :, None] & columns_BW[:, None, :]


def _between(size: int, centre_B: Tensor, side_B: Tensor) -> Tensor:
    middle_B, half_B = (centre_B * size).floor(), (side_B * size / 2).floor()
    place = torch.arange(size, device=centre_B.device)
    return (place >= (middle_B - half_B)[:, None]) & (place < (middle_B + half_B)[:, None])
