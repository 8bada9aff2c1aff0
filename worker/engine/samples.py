"""What a transfer set holds, before any network's preprocessing. N = samples, B = batch."""

from typing import Protocol

import torch
from torch import Tensor

from app.contract.samples import SampleKind

Raw = Tensor
"""A batch as it lies in the set: (B, ...) float32."""
Inputs = Tensor
"""A batch as a network takes it."""


class Samples(Protocol):
    """A set's samples, in the order of the file."""

    kind: SampleKind
    shape: tuple[int, ...]
    """Of one sample."""

    def __len__(self) -> int: ...

    def take(self, rows_B: Tensor) -> Raw:
        """Return a batch; `rows_B` lies on the samples' device."""
        ...


class ArraySamples:
    """Numbers, resident on the device as they are stored."""

    def __init__(self, values: Tensor, kind: SampleKind = "array") -> None:
        self.values, self.kind = values, kind
        self.shape = tuple(values.shape[1:])

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows_B: Tensor) -> Raw:
        return self.values.index_select(0, rows_B).to(torch.float32)
