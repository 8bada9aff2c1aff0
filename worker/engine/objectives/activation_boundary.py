"""Heo et al. 2019, arXiv:1811.03233. B = batch."""

from torch import Tensor, nn
from torch.nn.functional import relu

from app.contract.objectives import ActivationBoundary
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """Eq. 5, averaged over positions and channels: max(0, μ - s)² where h_t > 0, max(0, μ + s)² elsewhere."""

    def __init__(self, term: ActivationBoundary, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.connectors = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._trespass, self.term.part)

    def _trespass(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        value = self.connectors[place](student).value
        on_its_side = value.where(teacher.value > 0, -value)
        return teacher.mean_of(relu(self.term.margin - on_its_side) ** 2)
