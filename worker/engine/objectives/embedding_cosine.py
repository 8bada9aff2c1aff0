"""Reimers & Gurevych 2019, arXiv:1908.10084; cosine loss of DistilBERT: Sanh et al. 2019. B = batch, C = numbers."""

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from app.contract.objectives import EmbeddingCosine
from worker.engine.terms.batch import Batch


class Loss(nn.Module):
    """mean_B (1 - cos(s, t))."""

    def __init__(self, term: EmbeddingCosine) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        assert batch.teacher_BC is not None
        return batch.mean(1 - cosine_similarity(batch.student_BC, batch.teacher_BC, dim=1), self.term.part)
