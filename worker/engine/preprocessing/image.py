"""Pictures as a network takes them. B = batch, C = channels, H, W = height, width."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from app.contract.preprocessing import Image
from worker.engine.data.samples import Raw

_WHITE = 255.0


class Pixels:
    """(B, C, H, W) from 0 to 255, to what the settings make of it."""

    def __init__(self, settings: Image) -> None:
        self._size = settings.size
        self._mean_C11 = torch.tensor(settings.mean)[:, None, None]
        self._std_C11 = torch.tensor(settings.std)[:, None, None]

    def __call__(self, raw: Raw) -> Tensor:
        assert isinstance(raw, Tensor)
        if self._size is not None and self._size != raw.shape[2:]:
            raw = interpolate(raw, self._size, mode="bilinear", antialias=True)
        return (raw / _WHITE - self._mean_C11.to(raw.device)) / self._std_C11.to(raw.device)
