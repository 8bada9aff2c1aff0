"""What readers of texts and of lists of words ask of what is written there."""

import torch

from app.contract import inspection
from app.contract.inspection import Lengths

MAX_CHARACTERS = 100_000
"""Of one text."""


def lengths_of(texts: list[str], words: list[int]) -> Lengths:
    """Return how long texts are, which have so many words."""
    return Lengths(characters=_spread([len(text) for text in texts]), words=_spread(words))


def _spread(counts: list[int]) -> inspection.Spread:
    counts_N = torch.tensor(counts).sort().values
    last = len(counts_N) - 1
    return inspection.Spread(
        least=int(counts_N[0]),
        median=int(counts_N[last // 2]),
        p95=int(counts_N[round(0.95 * last)]),
        most=int(counts_N[-1]),
        mean=round(float(counts_N.double().mean()), 2),
    )
