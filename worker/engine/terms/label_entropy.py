"""Cross-entropy to labels that may be mixed. B = batch, C = classes."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from app.contract.transfer import UNLABELLED
from worker.engine.terms.batch import Batch


def label_entropy(logits_BC: Tensor, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Return CE(smooth(y, ε), softmax(logits)) (B,); 0 where there is no label.

    A mixed sample has the mixture of both labels as its target.
    """
    own_B = _against(logits_BC, batch.labels_B, smoothing)
    if batch.blend is None:
        return own_B
    # Cross-entropy is linear in its target: a mixed target's is the mixture of both.
    return torch.lerp(_against(logits_BC, batch.blend.labels_B, smoothing), own_B, batch.blend.share_B)


def _against(logits_BC: Tensor, labels_B: Tensor, smoothing: float) -> Tensor:
    return cross_entropy(logits_BC, labels_B, ignore_index=UNLABELLED, reduction="none", label_smoothing=smoothing)
