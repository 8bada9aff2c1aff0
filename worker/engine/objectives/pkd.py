"""Cao et al. 2022 (PKD), arXiv:2207.02039, eq. 2 to 4. B = batch, K = channels, N = positions of all samples."""

from torch import Tensor, nn

from app.contract.objectives import Pkd
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.standardized import standardized


class Loss(nn.Module):
    """mean_K (1 - ρ_N(r(h_s), h_t)): half the mean squared difference of z-scores."""

    def __init__(self, term: Pkd, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.related(self.joints, self._apart)

    def _apart(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        student_KN, teacher_KN = (
            standardized(feature.value.transpose(0, 1).flatten(1), 1)
            for feature in (self.adapters[place](student), teacher)
        )
        return (student_KN - teacher_KN).square().mean() / 2
