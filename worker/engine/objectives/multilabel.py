"""One-versus-all distillation: Yang et al. 2023 (L2D), arXiv:2308.06453. B = batch, C = classes."""

from torch import Tensor, nn

from app.contract.objectives import Multilabel
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import binary_divergence


class Loss(nn.Module):
    """T² · mean_B Σ_C KL(sigmoid(t / T) ‖ sigmoid(s / T)), each a distribution over yes and no."""

    def __init__(self, term: Multilabel) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = batch.softened(temperature)
        return batch.mean(binary_divergence(teacher_BC, student_BC).sum(1), self.term.part) * temperature**2
