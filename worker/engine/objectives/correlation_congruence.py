"""Peng et al. 2019, arXiv:1904.01802, eq. 6 to 11. B = batch."""

import math

from torch import Tensor, nn

from app.contract.objectives import CorrelationCongruence
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.relations import cosines, points


class Loss(nn.Module):
    """mean_ij (k(s_i, s_j) - k(t_i, t_j))², k(x, y) = e^(-2γ) Σ_p≤P (2γ)^p / p! · cos(x, y)^p."""

    def __init__(self, term: CorrelationCongruence, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.related(self.joints, self._apart)

    def _apart(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        return (self._correlations(student) - self._correlations(teacher)).square().mean()

    def _correlations(self, feature: Feature) -> Tensor:
        cosines_BB, gamma = cosines(points(feature)), self.term.gamma
        # Without the term of order 0, which is the same for all pairs.
        orders = range(1, self.term.order + 1)
        series = [(2 * gamma) ** order / math.factorial(order) * cosines_BB**order for order in orders]
        return math.exp(-2 * gamma) * sum(series[1:], start=series[0])
