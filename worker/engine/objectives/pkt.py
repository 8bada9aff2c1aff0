"""Passalis & Tefas 2018, arXiv:1803.10837, with the cosine kernel (eq. 8); the mean over pairs as in the authors' code.

B = batch.
"""

from torch import Tensor, nn

from app.contract.objectives import Pkt
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.relations import cosines, points

_LEAST = 1e-7
"""Of the kernel, which is 0 between opposite samples. The authors add as much to probabilities, which then sum up to
more than 1, and pull at a student that has arrived."""


class Loss(nn.Module):
    """mean_ij p_ij log (p_ij / q_ij), p_ij = k_ij / Σ_j k_ij, k_ij = (cos(x_i, x_j) + 1) / 2."""

    def __init__(self, term: Pkt, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.related(self.joints, self._apart)

    def _apart(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        student_BB, teacher_BB = _neighbours(student), _neighbours(teacher)
        return (teacher_BB * (teacher_BB.log() - student_BB.log())).mean()


def _neighbours(feature: Feature) -> Tensor:
    kernel_BB = ((cosines(points(feature)) + 1) / 2).clamp(min=_LEAST)
    return kernel_BB / kernel_BB.sum(1, keepdim=True)
