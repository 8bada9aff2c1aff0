"""FitNets: Romero et al. 2015, arXiv:1412.6550. B = batch."""

from torch import Tensor, nn

from app.contract.objectives import Hint
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """mean_B mean_positions,channels (r(h_s) - h_t)², averaged over the pairs."""

    def __init__(self, term: Hint, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.regressors = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    def _distance(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        return teacher.mean_of((self.regressors[place](student).value - teacher.value) ** 2)
