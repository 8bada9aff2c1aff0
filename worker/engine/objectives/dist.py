"""Huang et al. 2022 (DIST), arXiv:2205.10536, section 3. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import softmax

from app.contract.objectives import Dist
from worker.engine.terms.batch import Batch
from worker.engine.terms.standardized import standardized


class Loss(nn.Module):
    """T² · (β · mean_B (1 - ρ(p_b, q_b)) + γ · mean_C (1 - ρ(p_c, q_c))), ρ Pearson's correlation."""

    def __init__(self, term: Dist) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = (softmax(logits_BC, dim=1) for logits_BC in batch.softened(temperature))
        inter = batch.mean(_uncorrelated(student_BC, teacher_BC, 1), self.term.part)
        intra = batch.share(_uncorrelated(student_BC, teacher_BC, 0).mean())
        return (self.term.beta * inter + self.term.gamma * intra) * temperature**2


def _uncorrelated(student_BC: Tensor, teacher_BC: Tensor, dim: int) -> Tensor:
    """Return 1 - ρ along a dimension: half the mean squared difference of z-scores; 0 where neither side varies."""
    return (standardized(student_BC, dim) - standardized(teacher_BC, dim)).square().mean(dim) / 2
