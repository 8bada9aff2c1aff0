"""Sun et al. 2024, arXiv:2403.01427, algorithms 1 and 2. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from app.contract.objectives import LogitStandardized
from worker.engine.terms.batch import Batch
from worker.engine.terms.divergences import divergence
from worker.engine.terms.standardized import standardized


class Loss(nn.Module):
    """T² · mean_B KL(softmax(z(t) / T) ‖ softmax(z(s) / T)), z the z-scores of a sample's logits."""

    def __init__(self, term: LogitStandardized) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        assert batch.teacher_BC is not None
        temperature = batch.position.of(self.term.temperature)
        student_BC, teacher_BC = (
            log_softmax(standardized(logits_BC, 1) / temperature, dim=1)
            for logits_BC in (batch.student_BC, batch.teacher_BC)
        )
        return batch.mean(divergence(teacher_BC, student_BC), self.term.part) * temperature**2
