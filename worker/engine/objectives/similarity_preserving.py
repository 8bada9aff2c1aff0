"""Tung & Mori 2019, arXiv:1907.09682, eq. 1 to 4. B = batch, D = numbers of a sample."""

from torch import Tensor, nn

from app.contract.objectives import SimilarityPreserving
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.relations import directions, points


class Loss(nn.Module):
    """1/B² · Σ_ij (n(F_s F_sᵀ)_ij - n(F_t F_tᵀ)_ij)²."""

    def __init__(self, term: SimilarityPreserving, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.related(self.joints, self._apart)

    def _apart(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        return (_similarities(points(student)) - _similarities(points(teacher))).square().mean()


def _similarities(points_BD: Tensor) -> Tensor:
    return directions(points_BD @ points_BD.T)
