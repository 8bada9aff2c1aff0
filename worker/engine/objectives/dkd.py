"""Zhao et al. 2022, arXiv:2203.08679, eq. 7. B = batch, C = classes, O = the classes beside the label."""

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import Dkd
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import binary_divergence, divergence


class Loss(nn.Module):
    """T² · mean_labelled (α · TCKD + β · NCKD); of mixed samples, the mixture of the values for both labels."""

    def __init__(self, term: Dkd) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = batch.softened(temperature)
        value_B = self._against(student_BC, teacher_BC, batch.labels_B)
        if batch.blend is not None:
            other_B = self._against(student_BC, teacher_BC, batch.blend.labels_B)
            value_B = torch.lerp(other_B, value_B, batch.blend.share_B)
        return batch.mean(value_B, self.term.part) * temperature**2

    def _against(self, student_BC: Tensor, teacher_BC: Tensor, labels_B: Tensor) -> Tensor:
        (student_B, student_BO), (teacher_B, teacher_BO) = (
            _decoupled(logits_BC, labels_B.clamp(min=0)) for logits_BC in (student_BC, teacher_BC)
        )
        others_B = divergence(log_softmax(teacher_BO, dim=1), log_softmax(student_BO, dim=1))
        return self.term.alpha * binary_divergence(teacher_B, student_B) + self.term.beta * others_B


def _decoupled(logits_BC: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logit (B,) of the label against all others, log p_y / (1 - p_y), and the logits (B, O) of these.

    No probabilities are summed, and none is taken from 1: at saturation the logarithm of either is infinite.
    """
    label_B1 = labels_B.unsqueeze(1)
    place_O = torch.arange(logits_BC.shape[1] - 1, device=logits_BC.device)
    others_BO = logits_BC.gather(1, place_O + (place_O >= label_B1))
    return logits_BC.gather(1, label_B1).squeeze(1) - others_BO.logsumexp(1), others_BO
