"""The nearest training sample of each sample, by brute force in blocks. N = samples, B, R = rows, F = values."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from worker.engine.data.attributes import Attribute
from worker.engine.data.samples import Samples

_QUERIES = 512
_REFERENCES = 4096
_STEPS = 2**30
"""Squared distances are told apart to 1 in so many: rounding must not choose between equals."""


class Neighbours:
    """Found once, at the first question."""

    def __init__(self, samples: Samples, attributes: Sequence[Attribute], training_N: Tensor) -> None:
        self._samples, self._attributes, self._training_N = samples, attributes, training_N

    def of(self, rows_B: Tensor) -> Tensor:
        """Return the training row (B,) nearest to each row and not itself; the lowest of equally near ones."""
        return self._nearest_rows[rows_B]

    @cached_property
    def _nearest_rows(self) -> Tensor:
        rows_N = torch.arange(len(self._samples), device=self._training_N.device)
        return torch.cat([self._nearest(rows_B) for rows_B in torch.split(rows_N, _QUERIES)])

    def _nearest(self, rows_B: Tensor) -> Tensor:
        own_BF = self._values(rows_B)
        near_B, least_B = self._training_N[:1].expand(len(rows_B)), torch.full((len(rows_B),), torch.inf).to(own_BF)
        for others_R in torch.split(self._training_N, _REFERENCES):
            other_RF = self._values(others_R)
            far_BR = own_BF.square().sum(1)[:, None] + other_RF.square().sum(1) - 2 * own_BF @ other_RF.T
            far_BR = (far_BR * _STEPS).round().masked_fill(rows_B[:, None] == others_R, torch.inf)
            found_B, place_B = far_BR.min(1).values, far_BR.argmin(1)
            near_B = torch.where(found_B < least_B, others_R[place_B], near_B)
            least_B = torch.minimum(found_B, least_B)
        return near_B

    def _values(self, rows_B: Tensor) -> Tensor:
        """Return float64 (B, F)."""
        centre_F, scale_F = self._standard
        return (self._raw(rows_B) - centre_F) * scale_F

    @cached_property
    def _standard(self) -> tuple[Tensor, Tensor]:
        """Return what is taken from each value, and by what the rest is multiplied."""
        counted = len(self._training_N)
        blocks = torch.split(self._training_N, _REFERENCES)
        centre_F = torch.stack([self._raw(rows_R).double().sum(0) for rows_R in blocks]).sum(0) / counted
        squares = [(self._raw(rows_R).double() - centre_F).square().sum(0) for rows_R in blocks]
        deviation_F = (torch.stack(squares).sum(0) / counted).sqrt()
        scale_F = torch.where(deviation_F > 0, 1 / deviation_F, 0)
        for held in self._attributes:
            if held.nominal:
                # Two names differ in two places of a one-hot code, and count once.
                scale_F[held.start : held.stop] = 1.0 if held.stop - held.start == 1 else 0.5**0.5
        return centre_F, scale_F

    def _raw(self, rows_B: Tensor) -> Tensor:
        raw = self._samples.take(rows_B)
        assert isinstance(raw, Tensor)
        return raw.flatten(1)
