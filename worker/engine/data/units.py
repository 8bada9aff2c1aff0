"""What is predicted: a sample as a whole, each of its words, or each next token of a text.

Labels, logits and soft targets have a row for each.

N = samples, B = batch of them, A = all units of some samples, U = those of them that take part.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from worker.engine.data.samples import Samples, WordSamples

_AT_ONCE = 2**27
"""Logits that are made at once where nothing is learnt from them."""


class Units(Protocol):
    """The units of a set, numbered through it in the order of its samples."""

    def __len__(self) -> int:
        """Return how many there are, whether they take part or not."""
        ...

    def of(self, rows_B: Tensor) -> Tensor:
        """Return the numbers (U,) of the units of some samples that take part, sample by sample, on their device."""
        ...

    @property
    def most(self) -> int:
        """The most that a sample has."""
        ...

    def owners(self, rows_B: Tensor) -> Tensor:
        """Return the place (U,) in the batch of the sample whose unit each is."""
        ...

    def among(self, rows_B: Tensor, said_AC: Tensor) -> Tensor:
        """Return, of what is said of all units of some samples, what is said of those that take part (U, C)."""
        ...

    def within(self, rows_N: Tensor) -> "Units":
        """Return the units of a set that has only these samples, numbered anew."""
        ...

    def bounds(self, block: int) -> Sequence[int]:
        """Return where each block of so many samples begins among all units; last, how many there are."""
        ...


class Samplewise:
    """Each sample is one unit."""

    def __init__(self, samples: int) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return self._samples

    @property
    def most(self) -> int:
        return 1

    def of(self, rows_B: Tensor) -> Tensor:
        return rows_B

    def owners(self, rows_B: Tensor) -> Tensor:
        return torch.arange(len(rows_B), device=rows_B.device)

    def among(self, rows_B: Tensor, said_AC: Tensor) -> Tensor:
        return said_AC

    def within(self, rows_N: Tensor) -> "Samplewise":
        return Samplewise(len(rows_N))

    def bounds(self, block: int) -> Sequence[int]:
        return [*range(0, self._samples, block), self._samples]


class Wordwise:
    """Each sample has as many units as words, or tokens to be predicted, and some of them may take no part.

    All of it lies on the CPU.
    """

    def __init__(self, counts_N: Tensor, taking_part_A: Tensor | None = None) -> None:
        """`counts_N`: words of each sample; `taking_part_A`: bool, by default all."""
        all_A = torch.ones(int(counts_N.sum()), dtype=torch.bool)
        self._counts_N = counts_N
        self._taking_part_A = all_A if taking_part_A is None else taking_part_A
        self._starts_N = _starts(counts_N)
        self._whole = bool(self._taking_part_A.all())
        owner_A = torch.arange(len(counts_N)).repeat_interleave(counts_N)
        self._numbers_U = self._taking_part_A.nonzero()[:, 0]
        self._parts_N = torch.bincount(owner_A[self._numbers_U], minlength=len(counts_N))
        self._part_starts_N = _starts(self._parts_N)

    def __len__(self) -> int:
        return len(self._taking_part_A)

    @property
    def most(self) -> int:
        return int(self._counts_N.max())

    def of(self, rows_B: Tensor) -> Tensor:
        rows = rows_B.cpu()
        return self._numbers_U[ranges(self._part_starts_N[rows], self._parts_N[rows])].to(rows_B.device)

    def owners(self, rows_B: Tensor) -> Tensor:
        return torch.arange(len(rows_B)).repeat_interleave(self._parts_N[rows_B.cpu()]).to(rows_B.device)

    def among(self, rows_B: Tensor, said_AC: Tensor) -> Tensor:
        if self._whole:
            return said_AC
        kept_U = self._taking_part_A[self._all(rows_B)].nonzero()[:, 0]
        return said_AC.index_select(0, kept_U.to(said_AC.device))

    def within(self, rows_N: Tensor) -> "Wordwise":
        return Wordwise(self._counts_N[rows_N.cpu()], self._taking_part_A[self._all(rows_N)])

    def bounds(self, block: int) -> Sequence[int]:
        return [*self._starts_N[::block].tolist(), len(self)]

    def narrowed(self, taking_part_A: Tensor) -> "Wordwise":
        """Return the same units, of which only these may take part."""
        return Wordwise(self._counts_N, self._taking_part_A & taking_part_A)

    def _all(self, rows_B: Tensor) -> Tensor:
        rows = rows_B.cpu()
        return ranges(self._starts_N[rows], self._counts_N[rows])


def units_of(samples: Samples) -> Units:
    """Return the units of a set, all of which take part."""
    if isinstance(samples, WordSamples):
        return Wordwise(torch.tensor([*map(len, samples.lists)]))
    return Samplewise(len(samples))


def samples_at_once(units: Units, classes: int) -> int:
    """Return of how many samples a network can say everything at once."""
    return max(1, _AT_ONCE // (max(1, units.most) * classes))


def ranges(starts_B: Tensor, counts_B: Tensor) -> Tensor:
    """Return the whole numbers from each start on, as many as its count, all in a row."""
    shift_B = starts_B - _starts(counts_B)
    return torch.arange(int(counts_B.sum())) + shift_B.repeat_interleave(counts_B)


def _starts(counts_N: Tensor) -> Tensor:
    return counts_N.cumsum(0) - counts_N
