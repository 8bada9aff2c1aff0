"""Cross-entropy to the labels; label smoothing: Szegedy et al. 2016, arXiv:1512.00567. B = batch, C = classes."""

from torch import Tensor, nn

from app.contract.objectives import HardTarget
from worker.engine.terms.batch import Batch
from worker.engine.terms.label_entropy import label_entropy


class Loss(nn.Module):
    """mean_labelled CE(smooth(y, ε), softmax(s)); 0 where the batch has no labels.

    A mixed sample takes part where both labels are known.
    """

    def __init__(self, term: HardTarget) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        return batch.mean(label_entropy(batch.student_BC, batch, self.term.label_smoothing), self.term.part)
