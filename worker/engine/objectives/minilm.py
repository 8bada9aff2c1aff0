"""MiniLM: Wang et al. 2020, arXiv:2002.10957, eqs. 5 to 10; version 2: 2021, arXiv:2012.15828, eqs. 7 to 10.

B = batch, A = heads (of version 2: relation heads), L = tokens, D = channels of a head.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import Minilm
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence
from worker.engine.terms.joint import Setting

_QUERIES, _KEYS, _VALUES = range(3)
_NEVER = -1e30
"""In place of masked scores: -inf less itself would not be a number."""


class Loss(nn.Module):
    """R(x) = softmax(x xᵀ / √D); 2: Σ_q,k,v mean_B,A,L KL(R_t ‖ R_s); 1: that of the attention, and of the values."""

    def __init__(self, term: Minilm, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints
        self._related = (_VALUES,) if term.version == 1 else (_QUERIES, _KEYS, _VALUES)
        self._heads = [
            None if term.version == 1 else term.cut(joint.teacher, joint.student) for joint in setting.joints["layers"]
        ]

    def forward(self, batch: Batch) -> Tensor:
        compare = {"layers": self._relations, "attention": _attention}
        parts = [batch.held.mean(joints, compare[role], self.term.part) for role, joints in self.joints.items()]
        return sum(parts[1:], parts[0])

    def _relations(self, place: int, student: Feature, teacher: Feature) -> Tensor:
        mask_BALL, heads = _pairs(teacher.where_both(student).mask), self._heads[place]
        found = [
            _apart(_scores(student.value[:, part], heads), _scores(teacher.value[:, part], heads), mask_BALL)
            for part in self._related
        ]
        return torch.stack(found).sum(0)


def _attention(_place: int, student: Feature, teacher: Feature) -> Tensor:
    return _apart(student.value, teacher.value, teacher.where_both(student).mask)


def _scores(part_BALD: Tensor, heads: int | None) -> Tensor:
    """Return how tokens relate to one another (B, A, L, L), before the softmax; `heads`: after cutting into so many."""
    if heads is not None:
        samples, _, tokens, _ = part_BALD.shape
        part_BALD = part_BALD.transpose(1, 2).reshape(samples, tokens, heads, -1).transpose(1, 2)
    return part_BALD @ part_BALD.transpose(2, 3) / math.sqrt(part_BALD.shape[3])


def _pairs(mask_BL: Tensor | None) -> Tensor | None:
    return None if mask_BL is None else mask_BL[:, None, :, None] & mask_BL[:, None, None, :]


def _apart(student_BALL: Tensor, teacher_BALL: Tensor, mask_BALL: Tensor | None) -> Tensor:
    """Return KL(teacher ‖ student) of rows of scores, averaged over heads and the rows that count (B,)."""
    if mask_BALL is not None:
        student_BALL, teacher_BALL = (found.masked_fill(~mask_BALL, _NEVER) for found in (student_BALL, teacher_BALL))
    rows = [log_softmax(found, dim=3).flatten(0, 2) for found in (teacher_BALL, student_BALL)]
    apart_BAL = divergence(*rows).view(teacher_BALL.shape[:3])
    if mask_BALL is None:
        return apart_BAL.mean((1, 2))
    # Rows of padding are alike in both networks, so they add nothing; but they do not count either.
    counted_BAL = mask_BALL.any(3).expand(apart_BAL.shape)
    return apart_BAL.where(counted_BAL, 0.0).sum((1, 2)) / counted_BAL.sum((1, 2)).clamp(min=1)
