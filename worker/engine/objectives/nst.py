"""Huang & Wang 2017, arXiv:1707.01219. B = batch, K, M = channels, P = positions."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.linalg import vector_norm

from app.contract.objectives import Nst
from worker.engine.taps.feature import Feature
from worker.engine.terms.adapters import at_one_size
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.pieces import in_pieces

_DEAD = 1e-12
"""Length up to which a channel's map is 0: it has no direction, and no gradient of one."""


class Loss(nn.Module):
    """MMD² (eq. 3) of the channels' maps, each divided by its length: mean k(t, t) + mean k(s, s) - 2 mean k(s, t)."""

    def __init__(self, term: Nst, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.mean(self.joints, self._discrepancy, self.term.part)

    def _discrepancy(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        student_BKHW, teacher_BMHW = at_one_size(student.value, teacher.value)
        student_BKP, teacher_BMP = _directions(student_BKHW.flatten(2)), _directions(teacher_BMHW.flatten(2))
        channels, positions = max(student_BKP.shape[1], teacher_BMP.shape[1]), student_BKP.shape[2]
        side = channels
        if self.term.kernel == "linear":
            return ((student_BKP.mean(1) - teacher_BMP.mean(1)) ** 2).sum(1)
        value = gaussian if self.term.kernel == "gaussian" else squared
        if value is squared and positions < channels:
            value, side = squared_by_positions, positions
        return in_pieces(lambda rows: value(student_BKP[rows], teacher_BMP[rows]), len(student_BKP), side**2)


def squared_by_positions(student_BKP: Tensor, teacher_BMP: Tensor) -> Tensor:
    """Return MMD² under (x·y)² (B,), by matrices of positions: it is |mean_K s sᵀ - mean_M t tᵀ|²."""
    moments = [value.transpose(1, 2) @ value / value.shape[1] for value in (student_BKP, teacher_BMP)]
    return ((moments[0] - moments[1]) ** 2).flatten(1).sum(1)


def squared(student_BKP: Tensor, teacher_BMP: Tensor) -> Tensor:
    """Return MMD² under (x·y)² (B,), by matrices of channels."""
    return _mmd(lambda first, second: _products(first, second) ** 2, student_BKP, teacher_BMP)


def gaussian(student_BKP: Tensor, teacher_BMP: Tensor) -> Tensor:
    """Return MMD² under exp(-|x - y|² / 2σ²) (B,), σ² the mean of |t - t'|²."""
    width_B = _apart(teacher_BMP, teacher_BMP).mean((1, 2)).clamp(min=1e-6)  # which a single channel has not
    return _mmd(lambda a, b: (-_apart(a, b) / (2 * width_B[:, None, None])).exp(), student_BKP, teacher_BMP)


def _mmd(kernel: Callable[[Tensor, Tensor], Tensor], student_BKP: Tensor, teacher_BMP: Tensor) -> Tensor:
    pairs = (student_BKP, student_BKP), (teacher_BMP, teacher_BMP), (student_BKP, teacher_BMP)
    among_students, among_teachers, across = (kernel(*pair).mean((1, 2)) for pair in pairs)
    return among_students + among_teachers - 2 * across


def _products(first_BKP: Tensor, second_BMP: Tensor) -> Tensor:
    return first_BKP @ second_BMP.transpose(1, 2)


def _apart(first_BKP: Tensor, second_BMP: Tensor) -> Tensor:
    """Return squared distances (B, K, M)."""
    first_BK, second_BM = (first_BKP**2).sum(2), (second_BMP**2).sum(2)
    return first_BK[:, :, None] + second_BM[:, None, :] - 2 * _products(first_BKP, second_BMP)


def _directions(map_BKP: Tensor) -> Tensor:
    length_BK1: Tensor = vector_norm(map_BKP, dim=2, keepdim=True)
    return (map_BKP / length_BK1.clamp(min=_DEAD)).where(length_BK1 > _DEAD, 0.0)
