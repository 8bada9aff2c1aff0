"""DistilBERT: Sanh et al. 2019, arXiv:1910.01108, section 2. B = batch."""

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from app.contract.objectives import HiddenCosine
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """mean_B mean_positions (1 - cos(r(h_s), h_t)), averaged over the pairs."""

    def __init__(self, term: HiddenCosine, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    def _distance(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        channels = 2 if teacher.layout == "tokens" else 1
        cosine = cosine_similarity(self.adapters[place](student).value, teacher.value, dim=channels)
        return teacher.mean_of(1 - cosine)
