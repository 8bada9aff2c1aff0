"""Ba & Caruana 2014, arXiv:1312.6184; Tang et al. 2019, arXiv:1903.12136. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import mse_loss

from app.contract.objectives import LogitMse
from worker.engine.terms.batch import Batch


class Loss(nn.Module):
    """mean_B,C (s - t)²."""

    def __init__(self, term: LogitMse) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        assert batch.teacher_BC is not None
        return batch.mean(mse_loss(batch.student_BC, batch.teacher_BC, reduction="none").mean(1), self.term.part)
