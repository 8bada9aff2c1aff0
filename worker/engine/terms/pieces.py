"""Values whose making takes much memory, made piece by piece."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

AT_ONCE = 2**18
"""Numbers that a piece may have in one intermediate, where a single row does not have more."""


def in_pieces(values: Callable[[slice], Tensor], rows: int, numbers: int) -> Tensor:
    """Return `values` of all rows (rows,), each piece by itself, and made again when its gradient is wanted.

    `values`: some rows to their values; `numbers`: how many an intermediate has for each row.
    """
    size = max(1, AT_ONCE // numbers)
    if rows <= size:
        return values(slice(0, rows))
    pieces = [slice(first, min(first + size, rows)) for first in range(0, rows, size)]
    made = [checkpoint(values, piece, use_reentrant=False, preserve_rng_state=False) for piece in pieces]
    return torch.cat(made)
