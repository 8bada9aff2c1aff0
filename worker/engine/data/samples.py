"""What a transfer set holds, before any network's preprocessing.

N = samples, B = batch, L = tokens, A = words, or tokens that another follows.
"""

from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from app.contract.samples import SampleKind


@dataclass(frozen=True)
class Tokens:
    """A batch of encoded texts, padded to the longest of them."""

    ids_BL: Tensor
    """int64."""
    mask_BL: Tensor
    """bool, false where there is padding; what lies there must change nothing."""
    lengths_B: Tensor
    """int64, always on the CPU: packing and checks need them there, and must not wait for a device. At least 1."""
    heads_A: Tensor | None = None
    """Of lists of words: where the first token of each word stands in the batch's (B · L), list by list; -1 where the
    word has none, because it was cut off or nothing was left of it. Of texts whose tokens are predicted: where each
    token stands that another follows. int64."""

    def __len__(self) -> int:
        return len(self.ids_BL)

    @property
    def device(self) -> torch.device:
        return self.ids_BL.device

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return int(self.lengths_B.min()) < self.ids_BL.shape[1]

    def to(self, device: torch.device | str) -> "Tokens":
        heads_A = None if self.heads_A is None else self.heads_A.to(device)
        return Tokens(self.ids_BL.to(device), self.mask_BL.to(device), self.lengths_B, heads_A)


Raw = Tensor | list[str] | list[list[str]]
"""A batch as it lies in the set: (B, ...) float32, B texts, or B lists of words."""
Inputs = Tensor | Tokens
"""A batch as a network takes it."""
_PREVIEW_VALUES = 16
_PREVIEW_CHARACTERS = 200
_PREVIEW_WORDS = 30


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

    def take(self, rows_B: Tensor) -> Tensor:
        return self.values.index_select(0, rows_B).to(torch.float32)

    def to(self, device: torch.device) -> Self:
        return type(self)(self.values.to(device), self.kind)

    def preview(self, row: int) -> list[float]:
        values = self.values[row].flatten()[:_PREVIEW_VALUES].to(torch.float64).tolist()
        return [float(f"{value:.6g}") for value in values]


class TextSamples:
    """Strings, in the memory of the host."""

    kind: SampleKind = "text"
    shape: tuple[int, ...] = ()

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows_B: Tensor) -> list[str]:
        return [self.texts[row] for row in rows_B.tolist()]

    def to(self, device: torch.device) -> Self:
        return self

    def preview(self, row: int) -> str:
        text = self.texts[row]
        return text if len(text) <= _PREVIEW_CHARACTERS else text[:_PREVIEW_CHARACTERS] + "…"


class WordSamples:
    """Lists of words, in the memory of the host."""

    kind: SampleKind = "words"
    shape: tuple[int, ...] = ()

    def __init__(self, lists: list[list[str]]) -> None:
        self.lists = lists

    def __len__(self) -> int:
        return len(self.lists)

    def take(self, rows_B: Tensor) -> list[list[str]]:
        return [self.lists[row] for row in rows_B.tolist()]

    def to(self, device: torch.device) -> Self:
        return self

    def preview(self, row: int) -> list[str]:
        words = self.lists[row]
        return words if len(words) <= _PREVIEW_WORDS else [*words[:_PREVIEW_WORDS], "…"]
