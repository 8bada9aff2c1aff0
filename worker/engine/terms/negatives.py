"""Training samples of other classes, drawn to be told apart from. B = batch, M = draws, R = training samples."""

import torch
from torch import Tensor, nn

from app.contract.states import FailureCode
from app.contract.transfer import UNLABELLED
from worker.engine.failures import EngineFailure
from worker.engine.terms.batch import Position
from worker.engine.views.draws import Draws

_STEPS = 2**20
"""Steps of an epoch that have draws of their own."""


class Negatives(nn.Module):
    """Numbers training samples by their places 0 to R - 1, and draws places of others.

    A draw is a function of the sample and the step, with replacement. A sample without a label has a class of its own.
    """

    places_N: Tensor
    sorted_R: Tensor
    start_R: Tensor
    size_R: Tensor

    def __init__(self, rows_R: Tensor, labels_N: Tensor) -> None:
        """Raises EngineFailure where all samples are of one class."""
        super().__init__()
        rows_R = rows_R.to(labels_N.device)
        self.rows, self._seed = len(rows_R), int(torch.randint(2**31, ()))
        labels_R, here_R = labels_N[rows_R], torch.arange(len(rows_R), device=labels_N.device)
        class_R = torch.where(labels_R == UNLABELLED, labels_N.max().clamp(min=0) + 1 + here_R, labels_R)
        _, class_R, counts = torch.unique(class_R, return_inverse=True, return_counts=True)
        if len(counts) < 2:
            text = "There is nothing to tell apart: all training samples are of one class."
            raise EngineFailure(FailureCode.INVALID_TRANSFER_SET, text)
        places_N = torch.zeros_like(labels_N)
        places_N[rows_R] = here_R
        own = {
            "places_N": places_N,
            "sorted_R": class_R.argsort(stable=True),
            "start_R": (counts.cumsum(0) - counts)[class_R],
            "size_R": counts[class_R],
        }
        for name, value in own.items():
            self.register_buffer(name, value, persistent=False)

    def places(self, rows_B: Tensor) -> Tensor:
        """Return the places (B,) of rows of the transfer set."""
        return self.places_N[rows_B]

    def draw(self, places_B: Tensor, draws: int, position: Position, stream: int) -> Tensor:
        """Return places (B, M) of samples of other classes; each `stream` has draws of its own."""
        drawn_BM = Draws(self._seed, round(position.epoch * _STEPS), stream, places_B).uniform(draws)
        others_B1 = (self.rows - self.size_R[places_B])[:, None]
        nth_BM = (drawn_BM.double() * others_B1).long()
        # The n-th of all that are not in the block of the own class.
        skipped_BM = torch.where(nth_BM >= self.start_R[places_B][:, None], self.size_R[places_B][:, None], 0)
        return self.sorted_R[nth_BM + skipped_BM]
