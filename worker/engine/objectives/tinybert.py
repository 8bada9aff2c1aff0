"""TinyBERT: Jiao et al. 2020, arXiv:1909.10351, eqs. 7 to 9. B = batch, A = heads, L = tokens, D = channels."""

from torch import Tensor, nn

from app.contract.objectives import Tinybert
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import Adapter
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Joint, Setting


class Loss(nn.Module):
    """mean_B,A,LL (A_s - A_t)² + mean_B,L,D (W h_s - h_t)², each averaged over its pairs."""

    def __init__(self, term: Tinybert, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints
        states = {_widths(joint): joint for joint in setting.joints.get("layers", ())}
        self.projections = nn.ModuleDict({widths: Adapter(joint, term.adapter) for widths, joint in states.items()})

    def forward(self, batch: Batch) -> Tensor:
        compare = {"attention": self._scores, "layers": self._states}
        parts = [batch.held.mean(joints, compare[role], self.term.part) for role, joints in self.joints.items()]
        return sum(parts[1:], parts[0])

    def _scores(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        apart_BALL = student.value - teacher.value if self.term.heads == "each" else _mean(student) - _mean(teacher)
        return teacher.where_both(student).mean_of(apart_BALL**2)

    def _states(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        projection = self.projections[_widths(self.joints["layers"][place])]
        return teacher.mean_of((projection(student).value - teacher.value) ** 2)


def _mean(scores: Feature) -> Tensor:
    return scores.value.mean(1, keepdim=True)


def _widths(joint: Joint) -> str:
    return f"{joint.student.channels}_{joint.teacher.channels}"
