"""What a transfer set holds, before any network's preprocessing. N = samples, B = batch."""

from typing import Any, Protocol, Self

import torch
from torch import Tensor

from app.contract.samples import SampleKind

Raw = Tensor
"""A batch as it lies in the set: (B, ...) float32."""
Inputs = Tensor
"""A batch as a network takes it."""
_PREVIEW_VALUES = 16


class Samples(Protocol):
    """A set's samples, in the order of the file."""

    kind: SampleKind
    shape: tuple[int, ...]
    """Of one sample."""

    def __len__(self) -> int: ...

    def take(self, rows_B: Tensor) -> Raw:
        """Return a batch; `rows_B` lies on the samples' device."""
        ...

    def to(self, device: torch.device) -> "Samples":
        """Return the same samples, resident on a device where their kind can be."""
        ...

    def preview(self, row: int) -> Any:
        """Return one sample as JSON, cut short."""
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

    def to(self, device: torch.device) -> Self:
        return type(self)(self.values.to(device), self.kind)

    def preview(self, row: int) -> list[float]:
        values = self.values[row].flatten()[:_PREVIEW_VALUES].to(torch.float64).tolist()
        return [float(f"{value:.6g}") for value in values]
