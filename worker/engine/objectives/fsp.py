"""Yim et al. 2017 (CVPR). B = batch, K, M = channels of two layers, H, W = rows and columns, P = positions."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d

from app.contract.objectives import Fsp
from worker.engine.terms.adapters import Adapter, at_one_size
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.pieces import in_pieces


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
        students = pairwise([adapt(student).value for adapt, (student, _) in zip(self.adapters, held, strict=True)])
        teachers = pairwise([teacher.value for _, teacher in held])
        values = [
            share * self._distance(student, teacher)
            for share, student, teacher in zip(self.shares, students, teachers, strict=True)
        ]
        return batch.mean(torch.stack(values).sum(0), self.term.part)

    def _at_one_size(self, first_BKHW: Tensor, second_BMHW: Tensor) -> tuple[Tensor, Tensor]:
        if self.term.formulation == "code":
            return at_one_size(first_BKHW, second_BMHW)
        size = (min(first_BKHW.shape[2], second_BMHW.shape[2]), min(first_BKHW.shape[3], second_BMHW.shape[3]))
        return adaptive_max_pool2d(first_BKHW, size), adaptive_max_pool2d(second_BMHW, size)

    def _distance(self, students: tuple[Tensor, Tensor], teachers: tuple[Tensor, Tensor]) -> Tensor:
        """Return the distance (B,) of the matrices of two layers of each network."""
        maps = [*self._at_one_size(*students), *self._at_one_size(*teachers)]
        entries = maps[2].shape[1] * maps[3].shape[1]

        def squared(rows: slice) -> Tensor:
            first_BKHW, second_BMHW, taught_BKHW, taught_BMHW = (one[rows] for one in maps)
            return ((flow(first_BKHW, second_BMHW) - flow(taught_BKHW, taught_BMHW)) ** 2).flatten(1).sum(1)

        found_B = in_pieces(squared, len(maps[0]), entries)
        return found_B / entries if self.term.formulation == "code" else found_B


def flow(first_BKHW: Tensor, second_BMHW: Tensor) -> Tensor:
    """Return the matrix (B, K, M) of the mean products of channels of two maps."""
    first_BKP, second_BMP = first_BKHW.flatten(2), second_BMHW.flatten(2)
    return first_BKP @ second_BMP.transpose(1, 2) / first_BKP.shape[2]
