"""Shu et al. 2021, arXiv:2011.13256, eq. 3 and 4. B = batch, K = channels, P = positions."""

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import Cwd
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """T² · mean_B,K KL(softmax_P(h_t / T) ‖ softmax_P(r(h_s) / T))."""

    def __init__(self, term: Cwd, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)

        def apart(place: int, student: Feature, teacher: Feature) -> Tensor:
            student_BPK, teacher_BPK = (
                log_softmax(map_BKHW.flatten(2).transpose(1, 2) / temperature, dim=1)
                for map_BKHW in (self.adapters[place](student).value, teacher.value)
            )
            return divergence(teacher_BPK, student_BPK).mean(1)

        return batch.held.mean(self.joints, apart, self.term.part) * temperature**2
