"""Hinton, Vinyals, Dean 2015, arXiv:1503.02531. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax

from app.contract.objectives import SoftTarget
from worker.engine.batch import Batch


class Loss(nn.Module):
    """T² · mean_B KL(softmax(t / T) ‖ softmax(s / T))."""

    def __init__(self, term: SoftTarget) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = batch.softened(temperature)
        # Both sides as logarithms: at saturation exp(log p) · (log p - log q) is 0 where p · log p would be NaN.
        student_BC, teacher_BC = log_softmax(student_BC, dim=1), log_softmax(teacher_BC, dim=1)
        divergence_B = kl_div(student_BC, teacher_BC, reduction="none", log_target=True).sum(1)
        return batch.mean(divergence_B, self.term.part) * temperature**2
