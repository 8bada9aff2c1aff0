"""Yim et al. 2017 (CVPR). B = batch, K, M = channels of two layers, H, W = rows and columns, P = positions."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from app.contract.objectives import Fsp
from worker.engine.adapters import Adapter, at_one_size
from worker.engine.batch import Batch
from worker.engine.joint import Setting


class Loss(nn.Module):
    """G = mean_P h¹ h²ᵀ (eq. 1); `code`: mean_B,K,M (G_s - G_t)²; `paper` (eq. 2): mean_B Σ_K,M (G_s - G_t)²."""

    def __init__(self, term: Fsp, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]
        self.adapters = nn.ModuleList(Adapter(joint, term.adapter) for joint in self.joints)
        later = [joint.share for joint in self.joints[1:]]
        self.shares = [share / sum(later) for share in later]

    def forward(self, batch: Batch) -> Tensor:
        held = [batch.held.at(joint) for joint in self.joints]
        students = self._flows([adapt(student).value for adapt, (student, _) in zip(self.adapters, held, strict=True)])
        teachers = self._flows([teacher.value for _, teacher in held])
        values = [
            share * self._distance(student, teacher)
            for share, student, teacher in zip(self.shares, students, teachers, strict=True)
        ]
        return batch.mean(torch.stack(values).sum(0), self.term.part)

    def _flows(self, maps: list[Tensor]) -> list[Tensor]:
        return [flow(*self._at_one_size(first, second)) for first, second in pairwise(maps)]

    def _at_one_size(self, first_BKHW: Tensor, second_BMHW: Tensor) -> tuple[Tensor, Tensor]:
        if self.term.formulation == "code":
            return at_one_size(first_BKHW, second_BMHW)
        size = (min(first_BKHW.shape[2], second_BMHW.shape[2]), min(first_BKHW.shape[3], second_BMHW.shape[3]))
        return adaptive_max_pool2d(first_BKHW, size), adaptive_max_pool2d(second_BMHW, size)

    def _distance(self, student_BKM: Tensor, teacher_BKM: Tensor) -> Tensor:
        squared_B = ((student_BKM - teacher_BKM) ** 2).flatten(1)
        return squared_B.mean(1) if self.term.formulation == "code" else squared_B.sum(1)


def flow(first_BKHW: Tensor, second_BMHW: Tensor) -> Tensor:
    """Return the matrix (B, K, M) of the mean products of channels of two maps."""
    first_BKP, second_BMP = first_BKHW.flatten(2), second_BMHW.flatten(2)
    return first_BKP @ second_BMP.transpose(1, 2) / first_BKP.shape[2]
