"""Gu et al. 2023 (MiniLLM), arXiv:2306.08543, at each row. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import ReverseKl
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence


class Loss(nn.Module):
    """T² · mean_B KL(softmax(s / T) ‖ softmax(t / T))."""

    def __init__(self, term: ReverseKl) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = (log_softmax(logits_BC, dim=1) for logits_BC in batch.softened(temperature))
        return batch.mean(divergence(student_BC, teacher_BC), self.term.part) * temperature**2
