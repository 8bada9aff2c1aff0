"""Liu et al. 2019, arXiv:1903.04197, eq. 1. B = batch, K = channels, P = positions or tokens."""

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import Pixelwise
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """T² · mean_B,P KL(softmax_K(h_t / T) ‖ softmax_K(r(h_s) / T))."""

    def __init__(self, term: Pixelwise, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)

        def apart(place: int, student: Feature, teacher: Feature) -> Tensor:
            student_BKP, teacher_BKP = (
                log_softmax(_channels_first(feature) / temperature, dim=1)
                for feature in (self.adapters[place](student), teacher)
            )
            return teacher.mean_of(divergence(teacher_BKP, student_BKP))

        return batch.held.mean(self.joints, apart, self.term.part) * temperature**2


def _channels_first(feature: Feature) -> Tensor:
    return feature.value.flatten(2) if feature.layout == "map" else feature.value.transpose(1, 2)
