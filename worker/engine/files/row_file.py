"""Rows of equal size in a file, read by their numbers, so that a set may be larger than memory. N = rows, B = batch.

Read, not mapped: a mapped file counts as memory of a sandboxed child, and one that is cut short would kill it.
"""

import os
import weakref
from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.contract.states import FailureCode
from worker.engine.failures import EngineFailure

_BLOCK_BYTES = 16 * 2**20


class RowFile:
    """An array (N, ...) that begins at `start` of an open file; the descriptor is closed with it."""

    def __init__(self, descriptor: int, start: int, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self._descriptor, self._start, self.shape, self.dtype = descriptor, start, shape, dtype
        weakref.finalize(self, os.close, descriptor)
        self._row_bytes = prod(shape[1:]) * dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def bytes(self) -> int:
        return len(self) * self._row_bytes

    def take(self, rows_B: NDArray[np.int64]) -> Tensor:
        """Return rows (B, ...) as they are stored."""
        buffer = np.empty((len(rows_B), self._row_bytes), np.uint8)
        for place, row in zip(buffer, rows_B.tolist(), strict=True):
            self._fill(place.data, self._start + row * self._row_bytes)
        return self._typed(buffer)

    def blocks(self) -> Iterator[tuple[int, Tensor]]:
        """Yield the rows in order, as the first one's number and some of them at once."""
        rows = max(1, _BLOCK_BYTES // max(1, self._row_bytes))
        for first in range(0, len(self), rows):
            buffer = np.empty((min(rows, len(self) - first), self._row_bytes), np.uint8)
            self._fill(buffer.reshape(-1).data, self._start + first * self._row_bytes)
            yield first, self._typed(buffer)

    def whole(self, dtype: torch.dtype) -> Tensor:
        """Return all rows (N, ...), converted block by block."""
        array = torch.empty(self.shape, dtype=dtype)
        for first, block in self.blocks():
            array[first : first + len(block)] = block
        return array

    def _typed(self, buffer: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(buffer.reshape(-1)).view(self.dtype).view(len(buffer), *self.shape[1:])

    def _fill(self, buffer: memoryview, place: int) -> None:
        filled = 0
        while filled < len(buffer):
            count = os.preadv(self._descriptor, [buffer[filled:]], place + filled)
            if not count:
                text = "The transfer set ends early: it has become shorter since it was opened."
                raise EngineFailure(FailureCode.ARTIFACT_CORRUPT, text)
            filled += count
