"""Teacher annealing: Clark et al. 2019 (BAM), arXiv:1907.04829. B = batch, C = classes."""

from torch import Tensor, nn
from torch.nn.functional import log_softmax, one_hot, softmax

from app.contract.objectives import AnnealedTarget
from worker.engine.terms.batch import Batch


class Loss(nn.Module):
    """mean_B CE(λ · onehot(y) + (1 - λ) · softmax(t), softmax(s)); λ = 0 for samples without a label."""

    def __init__(self, term: AnnealedTarget) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        assert batch.teacher_BC is not None
        share = batch.position.of(self.term.label_share)
        target_BC = softmax(batch.teacher_BC, dim=1)
        share_B1 = (batch.labels_B >= 0).to(target_BC.dtype).mul(share).unsqueeze(1)
        label_BC = _one_hot(batch).to(target_BC.dtype)
        target_BC = share_B1 * label_BC + (1 - share_B1) * target_BC
        return batch.mean(-(target_BC * log_softmax(batch.student_BC, dim=1)).sum(1), self.term.part)


def _one_hot(batch: Batch) -> Tensor:
    classes = batch.student_BC.shape[1]
    own_BC = one_hot(batch.labels_B.clamp(min=0), classes)
    if batch.blend is None:
        return own_BC
    other_BC = one_hot(batch.blend.labels_B.clamp(min=0), classes)
    return other_BC + batch.blend.share_B.unsqueeze(1) * (own_BC - other_BC)
