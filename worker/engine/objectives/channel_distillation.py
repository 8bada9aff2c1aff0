"""Zhou et al. 2020, arXiv:2006.01683, section 3.1. B = batch, K = channels."""

from torch import Tensor, nn

from app.contract.objectives import ChannelDistillation
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """mean_B,K (mean_HW r(h_s) - mean_HW h_t)²."""

    def __init__(self, term: ChannelDistillation, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        # The adapters of channels alone: a map whose positions were interpolated would have other means.
        self.connectors = nn.ModuleList(Adapter(joint, term.adapter).layers for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    def _distance(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        student_BK: Tensor = self.connectors[place](student.value).mean((2, 3))
        return (student_BK - teacher.pooled()).square().mean(1)
