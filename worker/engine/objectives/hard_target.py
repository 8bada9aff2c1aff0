"""Cross-entropy to the labels; label smoothing: Szegedy et al. 2016, arXiv:1512.00567. B = batch, C = classes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from app.contract.objectives import HardTarget
from app.contract.transfer import UNLABELLED
from worker.engine.batch import Batch


class Loss(nn.Module):
    """mean_labelled CE(smooth(y, ε), softmax(s)); 0 where the batch has no labels.

    A mixed sample has the mixture of both labels as its target, and takes part where both are known.
    """

    def __init__(self, term: HardTarget) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        own_B = self._against(batch.student_BC, batch.labels_B)
        if batch.blend is None:
            return batch.mean(own_B, self.term.part)
        # Cross-entropy is linear in its target: a mixed target's is the mixture of both.
        other_B = self._against(batch.student_BC, batch.blend.labels_B)
        return batch.mean(torch.lerp(other_B, own_B, batch.blend.share_B), self.term.part)

    def _against(self, student_BC: Tensor, labels_B: Tensor) -> Tensor:
        smoothing = self.term.label_smoothing
        return cross_entropy(student_BC, labels_B, ignore_index=UNLABELLED, reduction="none", label_smoothing=smoothing)
