"""Which classes are taken for which, in a matrix that is bounded however many classes there are. N = samples."""

from typing import Literal

import torch
from torch import Tensor

from app.contract.report import Confusion

CLASSES = 20
"""Of more classes, so many are shown: those that take part in most mistakes; the rest are one row and column."""


def confusion(
    true_N: Tensor,
    guessed_N: Tensor,
    classes: int,
    truth: Literal["teacher", "labels"],
    guess: Literal["student", "teacher"],
) -> Confusion:
    """Return the counts; samples without a label (below 0) take no part."""
    known_N = true_N >= 0
    true_N, guessed_N = true_N[known_N], guessed_N[known_N]
    shown = torch.arange(classes) if classes <= CLASSES else _most_confused(true_N, guessed_N, classes)
    place_C = torch.full((classes,), len(shown))
    place_C[shown] = torch.arange(len(shown))
    size = len(shown) + (classes > len(shown))
    counts = torch.bincount(place_C[true_N] * size + place_C[guessed_N], minlength=size * size).reshape(size, size)
    return Confusion(
        truth=truth, guess=guess, classes=shown.tolist(), others=classes > len(shown), counts=counts.tolist()
    )


def _most_confused(true_N: Tensor, guessed_N: Tensor, classes: int) -> Tensor:
    wrong_N = true_N != guessed_N
    mistaken_N = torch.cat([true_N[wrong_N], guessed_N[wrong_N]])
    mistakes_C = torch.bincount(mistaken_N, minlength=classes)
    # Among equals the lower number, whatever the order in which a sort would leave them.
    return mistakes_C.sort(descending=True, stable=True).indices[:CLASSES].sort().values
