"""Tf-KD_reg: Yuan et al. 2020, arXiv:1909.11723, section 5. B = batch, C = classes."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import TeacherFree
from worker.engine.terms.batch import Batch


class Loss(nn.Module):
    """mean_labelled KL(softmax(u / T) ‖ softmax(s)), u_y = a, u_k = (1 - a) / (C - 1).

    Of mixed samples, the mixture of the values for both labels.
    """

    def __init__(self, term: TeacherFree) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        log_q_BC = log_softmax(batch.student_BC, dim=1)
        right, wrong = self._virtual(log_q_BC.shape[1], batch.position.of(self.term.temperature))
        own_B = _of(log_q_BC, batch.labels_B)
        if batch.blend is not None:
            own_B = torch.lerp(_of(log_q_BC, batch.blend.labels_B), own_B, batch.blend.share_B)
        others = log_q_BC.shape[1] - 1
        negative_entropy = math.exp(right) * right + others * math.exp(wrong) * wrong
        cross_entropy_B = -(math.exp(right) * own_B + math.exp(wrong) * (log_q_BC.sum(1) - own_B))
        return batch.mean(negative_entropy + cross_entropy_B, self.term.part)

    def _virtual(self, classes: int, temperature: float) -> tuple[float, float]:
        """Return the log-probabilities that the virtual teacher gives the label's class and each of the others."""
        ahead = (self.term.correct - (1 - self.term.correct) / (classes - 1)) / temperature
        log_right = -math.log1p((classes - 1) * math.exp(-ahead))
        return log_right, log_right - ahead


def _of(log_q_BC: Tensor, labels_B: Tensor) -> Tensor:
    return log_q_BC.gather(1, labels_B.clamp(min=0).unsqueeze(1)).squeeze(1)
