"""Guided knowledge distillation: Zhou et al. 2020, arXiv:2006.01683, section 3.2. B = batch, C = classes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import GuidedKd
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence


class Loss(nn.Module):
    """T² · mean_labelled 1(argmax t = y) · KL(softmax(t / T) ‖ softmax(s / T))."""

    def __init__(self, term: GuidedKd) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = (log_softmax(logits_BC, dim=1) for logits_BC in batch.softened(temperature))
        guided_B = divergence(teacher_BC, student_BC) * _right(batch).to(student_BC.dtype)
        return batch.mean(guided_B, self.term.part) * temperature**2


def _right(batch: Batch) -> Tensor:
    """Return how right the teacher is (B,): 1 or 0, of mixed samples the share of the label that it gives."""
    if batch.top is not None:
        class_B = batch.top.classes_BK[:, 0]
    else:
        assert batch.teacher_BC is not None
        class_B = batch.teacher_BC.argmax(1)
    right_B = class_B == batch.labels_B
    if batch.blend is None:
        return right_B
    share_B = batch.blend.share_B
    return torch.lerp((class_B == batch.blend.labels_B).to(share_B.dtype), right_B.to(share_B.dtype), share_B)
