"""Ko et al. 2024 (DistiLLM), arXiv:2402.03898, section 3.1. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import SkewKl
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence, mixture


class Loss(nn.Module):
    """T² · mean_B KL(p ‖ α · p + (1 - α) · q), p teacher and q student; the other way round in `reverse`."""

    def __init__(self, term: SkewKl) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = (log_softmax(logits_BC, dim=1) for logits_BC in batch.softened(temperature))
        near_BC, far_BC = (teacher_BC, student_BC) if self.term.direction == "forward" else (student_BC, teacher_BC)
        value_B = divergence(near_BC, mixture(near_BC, far_BC, self.term.alpha))
        return batch.mean(value_B, self.term.part) * temperature**2
