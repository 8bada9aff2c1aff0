"""Random numbers that can be drawn again: functions of (seed, view, step, sample), on any device, in any batch.

A counter-based generator: each number is the hash of its place (Salmon et al. 2011, "Parallel random numbers: as easy
as 1, 2, 3"), here by the finaliser of SplitMix64 (Steele, Lea, Flood 2014). B = batch, D = draws a sample.
"""

import hashlib
import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

_MULTIPLIERS = (0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64)
_STEP = 0x9E3779B97F4A7C15 - 2**64
_BITS = 24
_QUANTILES = 2**16


class Draws:
    """The numbers of one augmentation step on one view of some rows."""

    def __init__(self, seed: int, number: int, step: int, rows_B: Tensor) -> None:
        self.rows_B = rows_B
        digest = hashlib.sha256(f"view {seed} {number} {step}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)

    def uniform(self, draws: int) -> Tensor:
        """Return float32 (B, D) in [0, 1); the first D - 1 of D numbers are those of D - 1."""
        place_BD = self.rows_B[:, None] * 2**32 + torch.arange(draws, device=self.rows_B.device)
        # Wrap-around of int64 products is what the hash wants.
        mixed_BD = _mix(_mix(place_BD * _STEP + self._key))
        drawn_BD: Tensor = _logical_shift(mixed_BD, 64 - _BITS).to(torch.float32) / 2**_BITS
        return drawn_BD

    def normal(self, draws: int, after: int = 0) -> Tensor:
        """Return float32 (B, D), standard normal (Box & Muller 1958); made of what follows `after` uniform numbers."""
        radius_BD, angle_BD = self.uniform(after + 2 * draws)[:, after:].chunk(2, dim=1)
        drawn_BD: Tensor = (-2 * (1 - radius_BD).log()).sqrt() * (2 * math.pi * angle_BD).cos()
        return drawn_BD

    def beta(self, alpha: float) -> Tensor:
        """Return float32 (B,) of Beta(α, α), to a resolution of 1 in 65,536."""
        table = _beta_quantiles(alpha).to(self.rows_B.device)
        return table[(self.uniform(1)[:, 0] * _QUANTILES).long()]


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _logical_shift(value, 30)) * _MULTIPLIERS[0]
    value = (value ^ _logical_shift(value, 27)) * _MULTIPLIERS[1]
    return value ^ _logical_shift(value, 31)


def _logical_shift(value: Tensor, bits: int) -> Tensor:
    return (value >> bits) & ((1 << (64 - bits)) - 1)


@cache
def _beta_quantiles(alpha: float) -> Tensor:
    # A sorted sample stands in for the inverse of the distribution, which torch lacks. RandomState never changes.
    sample = np.random.RandomState(0).beta(alpha, alpha, _QUANTILES)
    return torch.from_numpy(np.sort(sample)).to(torch.float32)
