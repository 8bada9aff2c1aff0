"""Park et al. 2019, arXiv:1904.05068, eq. 4 to 11. B = batch, D = numbers of a sample, J = samples at an angle's point.

Angles come from inner products, as (x_i - x_j)·(x_k - x_j) = x_i·x_k - x_i·x_j - x_k·x_j + x_j·x_j: no B²·D numbers.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from app.contract.objectives import Rkd
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.pieces import in_pieces
from worker.engine.terms.relations import points

_ALIKE = 1e-12
"""Squared distances below this share of both squared lengths are none: float32 tells such samples hardly apart."""


class Loss(nn.Module):
    """λ_D · mean_ij huber(d_s,ij / μ_s - d_t,ij / μ_t) + λ_A · mean_ijk huber(cos ∠_s,ijk - cos ∠_t,ijk)."""

    def __init__(self, term: Rkd, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.related(self.joints, self._apart)

    def _apart(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        of_student, of_teacher = _geometry(points(student)), _geometry(points(teacher))
        kind = student.value.dtype

        def angles(rows: slice) -> Tensor:
            student_JBB, teacher_JBB = (_cosines(*found, rows, kind) for found in (of_student, of_teacher))
            return smooth_l1_loss(student_JBB, teacher_JBB, reduction="none").mean((1, 2))

        value = self.term.distance * smooth_l1_loss(_over_mean(of_student[1]), _over_mean(of_teacher[1])).to(kind)
        if not self.term.angle:
            return value
        return value + self.term.angle * in_pieces(angles, len(student), len(student) ** 2).mean()


def _geometry(points_BD: Tensor) -> tuple[Tensor, Tensor]:
    """Return inner products and distances (B, B) in float64; distance 0, without a gradient, between samples alike.

    In a frame where differences of inner products lose least: around the mean, and of size 1. Neither the distances
    over their mean nor the angles depend on it.
    """
    points_BD = points_BD.double()
    points_BD = points_BD - points_BD.mean(0)
    size = points_BD.detach().abs().amax()
    points_BD = points_BD / size.where(size > 0, 1.0)
    inner_BB = points_BD @ points_BD.T
    squares_BB = inner_BB.diagonal()[:, None] + inner_BB.diagonal()
    squared_BB = squares_BB - 2 * inner_BB
    differ_BB = squared_BB > _ALIKE * squares_BB
    return inner_BB, squared_BB.where(differ_BB, 1.0).sqrt().where(differ_BB, 0.0)


def _over_mean(distance_BB: Tensor) -> Tensor:
    """Return distances over the mean of those that are not 0."""
    count = (distance_BB > 0).sum()
    mean = distance_BB.sum() / count.clamp(min=1)
    return distance_BB / mean.where(count > 0, 1.0)


def _cosines(inner_BB: Tensor, distance_BB: Tensor, rows: slice, kind: torch.dtype) -> Tensor:
    """Return the cosines (J, B, B) of the angles at these samples; 0 where a side has no length."""
    at_JB, length_JB, own_J = inner_BB[rows], distance_BB[rows], inner_BB.diagonal()[rows]
    product_JBB = (inner_BB - at_JB[:, :, None]) - (at_JB - own_J[:, None])[:, None, :]
    long_JB = length_JB > 0
    inverse_JB = (1 / length_JB.where(long_JB, 1.0)).where(long_JB, 0.0).to(kind)
    # What is lost by subtracting is lost above; what follows is as good in float32.
    return product_JBB.to(kind) * inverse_JB[:, :, None] * inverse_JB[:, None, :]
