"""Cross-entropy to the labels; label smoothing: Szegedy et al. 2016, arXiv:1512.00567. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from app.contract.objectives import HardTarget
from app.contract.transfer import UNLABELLED
from worker.engine.batch import Batch


class Loss(nn.Module):
    """mean_labelled CE(smooth(y, ε), softmax(s)); 0 where the batch has no labels."""

    def __init__(self, term: HardTarget) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        total = cross_entropy(
            batch.student_BC,
            batch.labels_B,
            ignore_index=UNLABELLED,
            reduction="sum",
            label_smoothing=self.term.label_smoothing,
        )
        return total / batch.labelled
