"""Hofstätter et al. 2020, arXiv:2010.02666, eq. 5, between the samples of a batch. B = batch."""

import torch
from torch import Tensor, nn

from app.contract.objectives import MarginMse
from worker.engine.taps.feature import Feature
from worker.engine.terms.batch import Batch
from worker.engine.terms.joint import Setting
from worker.engine.terms.relations import cosines, points


class Loss(nn.Module):
    """mean over i and j ≠ k, none of them i, of ((S_ij - S_ik) - (T_ij - T_ik))².

    With E = S - T that is twice the variance of E_i over the others, so that B² numbers do and not B³.
    """

    def __init__(self, term: MarginMse, setting: Setting) -> None:
        super().__init__()
        self.term, self.joints = term, setting.joints["layers"]

    def forward(self, batch: Batch) -> Tensor:
        return batch.held.related(self.joints, self._apart)

    def _apart(self, _place: int, student: Feature, teacher: Feature) -> Tensor:
        apart_BB = self._similarities(student) - self._similarities(teacher)
        itself_BB = torch.eye(len(apart_BB), dtype=torch.bool, device=apart_BB.device)
        apart_BB, others = apart_BB.masked_fill(itself_BB, 0.0), len(apart_BB) - 1
        centred_BB = (apart_BB - apart_BB.sum(1, keepdim=True) / max(others, 1)).masked_fill(itself_BB, 0.0)
        return 2 * (centred_BB**2).sum(1).mean() / max(others - 1, 1)

    def _similarities(self, feature: Feature) -> Tensor:
        points_BD = points(feature)
        return cosines(points_BD) if self.term.similarity == "cosine" else points_BD @ points_BD.T
