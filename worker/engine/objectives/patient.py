"""PKD: Sun et al. 2019, arXiv:1908.09355, eq. 7. B = batch, D = channels."""

from torch import Tensor, nn

from app.contract.objectives import Patient
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.relations import directions


class Loss(nn.Module):
    """u = h[CLS] / |h[CLS]|; `code`: mean_B,D (u_s - u_t)²; `paper`: mean_B Σ_D (u_s - u_t)²."""

    def __init__(self, term: Patient, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint.of_vectors(), term.adapter) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    def _distance(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        learnt_BD = directions(self.adapters[place](self._token(student)).value)
        squared_BD = (learnt_BD - directions(self._token(teacher).value)) ** 2
        return squared_BD.mean(1) if self.term.formulation == "code" else squared_BD.sum(1)

    def _token(self, feature: Feature) -> Feature:
        return Feature(feature.value[:, 0] if self.term.token == "first" else feature.pooled(), "vector")
