"""Heo et al. 2019, arXiv:1904.01866. B = batch, K = channels."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from app.contract.objectives import Overhaul
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """Eqs. 1-4, averaged over positions and channels: (s - h)² unless s ≤ h ≤ 0; h = max(h_t, m), s = r(h_s)."""

    def __init__(self, term: Overhaul, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.connectors = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)
        found = zip(*setting.taught(self.joints), strict=True)
        self.margins = nn.ModuleList(MarginReLU(margins(features)) for features in found)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    def _distance(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        value, target = self.connectors[place](student).value, self.margins[place](teacher.value)
        tells = (value > target) | (target > 0)
        return teacher.mean_of(((value - target) ** 2).where(tells, 0.0))


class MarginReLU(nn.Module):
    """max(h, m), m of each channel."""

    margins_K: Tensor

    def __init__(self, margins_K: Tensor) -> None:
        super().__init__()
        self.register_buffer("margins_K", margins_K)

    def forward(self, value: Tensor) -> Tensor:
        margins = self.margins_K[:, None, None] if value.dim() == 4 else self.margins_K
        return value.maximum(margins)


def margins(features: Iterable[Feature]) -> Tensor:
    """Return the mean of each channel's values below 0 (K,); 0 where it has none."""
    sums, counts = zip(*(_below_zero(feature.value.transpose(0, 1).flatten(1)) for feature in features), strict=True)
    return torch.stack(sums).sum(0) / torch.stack(counts).sum(0).clamp(min=1)


def _below_zero(value_KN: Tensor) -> tuple[Tensor, Tensor]:
    return value_KN.clamp(max=0.0).sum(1), (value_KN < 0).sum(1)
