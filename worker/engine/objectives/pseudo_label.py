"""Pseudo labels: Lee 2013; threshold: Sohn et al. 2020 (FixMatch), arXiv:2001.07685. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softmax

from app.contract.objectives import PseudoLabel
from worker.engine.terms.batch import Batch


class Loss(nn.Module):
    """mean_B 1(max softmax(t) ≥ threshold) · CE(argmax t, softmax(s))."""

    def __init__(self, term: PseudoLabel) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        assert batch.teacher_BC is not None
        sure_B, class_B = softmax(batch.teacher_BC, dim=1).max(1)
        loss_B = cross_entropy(batch.student_BC, class_B, reduction="none")
        return batch.mean(loss_B.where(sure_B >= self.term.threshold, 0.0), self.term.part)
