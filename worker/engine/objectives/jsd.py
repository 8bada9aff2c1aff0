"""Agarwal et al. 2023 (GKD), arXiv:2306.13649, eq. 1. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import Jsd
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence, mixture


class Loss(nn.Module):
    """T² · mean_B (β · KL(p ‖ m) + (1 - β) · KL(q ‖ m)) with p teacher, q student, m = β · p + (1 - β) · q."""

    def __init__(self, term: Jsd) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        beta, temperature = self.term.beta, batch.position.of(self.term.temperature)
        student_BC, teacher_BC = (log_softmax(logits_BC, dim=1) for logits_BC in batch.softened(temperature))
        mixed_BC = mixture(teacher_BC, student_BC, beta)
        value_B = beta * divergence(teacher_BC, mixed_BC) + (1 - beta) * divergence(student_BC, mixed_BC)
        return batch.mean(value_B, self.term.part) * temperature**2
