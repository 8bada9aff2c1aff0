"""Mixup: Zhang et al. 2018, arXiv:1710.09412. B = batch."""

from torch import Tensor

from app.contract.augmentations import Mixup
from worker.engine.views.draws import Draws


def share(step: Mixup, _shape: tuple[int, ...], draws: Draws) -> Tensor:
    """Return λ (B,)."""
    return draws.beta(step.alpha)


def blend(step: Mixup, raw: Tensor, other: Tensor, draws: Draws) -> Tensor:
    """Return λ · raw + (1 - λ) · other, (B, ...)."""
    share_B = share(step, tuple(raw.shape[1:]), draws)
    return other + share_B.view(-1, *[1] * (raw.dim() - 1)) * (raw - other)
