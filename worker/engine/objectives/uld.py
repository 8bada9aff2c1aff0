"""Boizard et al. 2024 (ULD), arXiv:2402.12030: the Wasserstein distance of equal costs, in closed form.

B = batch, S = classes of the student, T = of the teacher, W = the larger of both.
"""

from torch import Tensor, nn
from torch.nn.functional import pad, softmax

from app.contract.objectives import Uld
from worker.engine.terms.batch import Batch
from worker.engine.terms.pieces import in_pieces

_MADE = 6
"""Intermediates of the width W: two distributions, each sorted, with the places of the sorted ones in int64."""


class Loss(nn.Module):
    """mean_B Σ_W |sort(softmax(t / T)) - sort(softmax(s / T))|."""

    def __init__(self, term: Uld) -> None:
        super().__init__()
        self.term = term

    def forward(self, batch: Batch) -> Tensor:
        student_BS, teacher_BT = batch.softened(batch.position.of(self.term.temperature))
        wide = max(student_BS.shape[1], teacher_BT.shape[1])

        def values(rows: slice) -> Tensor:
            return (_sorted(student_BS[rows], wide) - _sorted(teacher_BT[rows], wide)).abs().sum(1)

        return batch.mean(in_pieces(values, len(student_BS), _MADE * wide), self.term.part)


def _sorted(logits_BC: Tensor, wide: int) -> Tensor:
    sorted_BC = softmax(logits_BC, dim=1).sort(dim=1, descending=True).values
    return pad(sorted_BC, (0, wide - sorted_BC.shape[1]))
