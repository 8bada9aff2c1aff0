"""Random crops: He et al. 2016, arXiv:1512.03385. B = batch, C = channels, H, W = height, width."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from app.contract.augmentations import Crop
from worker.engine.views.draws import Draws


def change(step: Crop, raw: Tensor, draws: Draws) -> Tensor:
    """Shift each image of (B, C, H, W) by up to `padding` pixels each way; zeros come in from outside."""
    height, width = raw.shape[2:]
    padded = pad(raw, (step.padding,) * 4)
    offset_B2 = (draws.uniform(2) * (2 * step.padding + 1)).long()
    rows_BH = offset_B2[:, :1] + torch.arange(height, device=raw.device)
    columns_BW = offset_B2[:, 1:] + torch.arange(width, device=raw.device)
    image_B = torch.arange(len(raw), device=raw.device)
    # One gather for the whole batch: indices broadcast to (B, H, W), channels come last and go back.
    windows_BHWC = padded.permute(0, 2, 3, 1)[image_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]]
    return windows_BHWC.permute(0, 3, 1, 2).contiguous()
