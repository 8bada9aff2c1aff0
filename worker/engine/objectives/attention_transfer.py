"""Zagoruyko & Komodakis 2017, arXiv:1612.03928. B = batch, K = channels, H, W = rows and columns, P = positions."""

from torch import Tensor, nn
from torch.nn.functional import normalize

from app.contract.objectives import AttentionTransfer
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import at_one_size
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting


class Loss(nn.Module):
    """Q = vec(mean_K |h|^p) / |...|; `code`: mean_B,P (Q_s - Q_t)²; `paper` (eq. 2): mean_B ½ |Q_s - Q_t|."""

    def __init__(self, term: AttentionTransfer, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._distance, self.term.part)

    def _distance(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        student_BKHW, teacher_BKHW = at_one_size(student.value, teacher.value)
        apart_BP = self._attention(student_BKHW) - self._attention(teacher_BKHW)
        if self.term.formulation == "code":
            return (apart_BP**2).mean(1)
        # Not norm(): its gradient at 0, where the student has arrived, is not a number.
        squared_B = (apart_BP**2).sum(1)
        return squared_B.clamp(min=1e-24).sqrt() / 2

    def _attention(self, map_BKHW: Tensor) -> Tensor:
        return normalize(map_BKHW.abs().pow(self.term.power).mean(1).flatten(1), dim=1)
