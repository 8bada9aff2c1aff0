"""What a network holds at a tap, of a batch.

B = batch, K = channels, H, W = rows and columns, L = tokens, D = channels of a token, A = heads.
"""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from app.contract.taps import Layout, Tap


@dataclass(frozen=True, slots=True)
class Feature:
    """Float32 outside of the network, whatever it computed with."""

    value: Tensor
    """(B, K, H, W) of a map, (B, L, D) of tokens, (B, D) of a vector, (B, A, L, L) of attention: scores before the
    softmax; (B, 3, A, L, D) of queries, keys and values."""
    layout: Layout
    mask: Tensor | None = None
    """bool, false where the value means nothing: (B, L) of tokens, and for queries, keys and values; (B, 1, L, L) of
    attention, or what broadcasts to it. None: all of it counts."""

    def __len__(self) -> int:
        return len(self.value)

    def float(self) -> Self:
        return replace(self, value=self.value.float())

    def pooled(self) -> Tensor:
        """Return the mean over all positions that count (B, channels)."""
        if self.layout == "vector":
            return self.value
        if self.layout == "map":
            return self.value.mean((2, 3))
        assert self.layout == "tokens"
        if self.mask is None:
            return self.value.mean(1)
        kept_BLD = self.value.masked_fill(~self.mask[:, :, None], 0.0)
        return kept_BLD.sum(1) / self.mask.sum(1, keepdim=True).clamp(min=1)

    def where_both(self, other: "Feature") -> Self:
        """Return this feature, its mask less what does not count in another one of the same positions."""
        if self.mask is None or other.mask is None:
            return self if other.mask is None else replace(self, mask=other.mask)
        return replace(self, mask=self.mask & other.mask)

    def mean_of(self, values: Tensor) -> Tensor:
        """Return the mean (B,) of numbers that stand at this feature's positions, over those that count.

        `values`: (B, ...) with this feature's layout; of tokens (B, L) or (B, L, D).
        """
        if self.mask is None or self.layout not in {"tokens", "attention"}:
            return values.flatten(1).mean(1) if values.dim() > 1 else values
        mask = (
            self.mask if self.layout == "attention" else self.mask.reshape(*self.mask.shape, *[1] * (values.dim() - 2))
        )
        mask = mask.expand(values.shape)
        return values.where(mask, 0.0).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)

    def tap(self, name: str, *, free_length: bool = False) -> Tap:
        """Return what a listing says of it; `free_length`: tokens are as many as a text has."""
        shape: list[int | None] = list(self.value.shape[1:])
        if free_length:
            axes = {"tokens": (0,), "attention": (1, 2), "qkv": (2,)}.get(self.layout, ())
            shape = [None if axis in axes else size for axis, size in enumerate(shape)]
        return Tap(name=name, layout=self.layout, shape=tuple(shape))


def layout_of(value: Tensor) -> Layout | None:
    """Return the layout of what a module answers with, by its axes; None where it is of no use."""
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return None
    by_axes: dict[int, Layout] = {2: "vector", 3: "tokens", 4: "map"}
    return by_axes.get(value.dim())
