"""Yang et al. 2022 (MGD), arXiv:2205.01529, eq. 2 to 4. B = batch, K = channels, H, W = rows and columns."""

import torch
from torch import Tensor, nn

from app.contract.objectives import Mgd
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """mean_B Σ_K,HW (h_t - g(m · r(h_s)))², m = 0 with probability λ, else 1."""

    def __init__(self, term: Mgd, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint) for joint in self.joints)
        self.generators = nn.ModuleList(_generator(joint.teacher.channels) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    def _distance(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        student_BKHW = self.adapters[place](student).value
        made_BKHW: Tensor = self.generators[place](student_BKHW * self._mask(student_BKHW))
        return (made_BKHW - teacher.value).square().flatten(1).sum(1)

    def _mask(self, map_BKHW: Tensor) -> Tensor:
        """Return 0 or 1 for each position (B, 1, H, W) or each channel (B, K, 1, 1), from torch's own generator."""
        samples, channels, rows, columns = map_BKHW.shape
        shape = (samples, 1, rows, columns) if self.term.mask == "positions" else (samples, channels, 1, 1)
        return (torch.rand(shape, device=map_BKHW.device) >= self.term.masked).to(map_BKHW.dtype)


def _generator(channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1)
    )
