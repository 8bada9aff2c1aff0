"""What a file keeps of logits, and how it lies there. B = batch, C = classes, K = kept ones."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from worker.engine.teachers.target_file import Entries
from worker.engine.teachers.top_k import TopK, top_k

Kept = Tensor | TopK
"""Logits (B, C) as float32, or the top classes."""
SMALL_BYTES = 64 * 2**20
"""Up to here the logits are kept as float32, beyond as float16."""
Said_contra = TypeVar("Said_contra", contravariant=True)
Read_co = TypeVar("Read_co", covariant=True)


class Keeps(Protocol[Said_contra, Read_co]):
    """What a file holds of what a teacher says of a batch."""

    @property
    def a_row(self) -> Entries:
        """The arrays, with the shape of one row."""
        ...

    def encode(self, said: Said_contra, /) -> dict[str, Tensor]:
        """Return the arrays' rows."""
        ...

    def decode(self, found: Mapping[str, Tensor], /) -> Read_co:
        """Return what rows of the arrays stand for."""
        ...

    def finite(self, said: Said_contra, /) -> Tensor:
        """Return of which rows (B,) all numbers are finite."""
        ...


def logits_kept(rows: int, classes: int, top: int | None = None) -> "Keeps[Tensor, Kept]":
    """Return how so many logits are kept; `top`: of the most probable classes only."""
    if top:
        return TopClasses(classes, top)
    return AllClasses(classes, torch.float32 if rows * classes * 4 <= SMALL_BYTES else torch.float16)


class AllClasses:
    """Every logit, as float32 or float16."""

    def __init__(self, classes: int, dtype: torch.dtype) -> None:
        self._dtype = dtype
        self.a_row: Entries = {"logits": (dtype, (classes,))}

    def encode(self, logits_BC: Tensor) -> dict[str, Tensor]:
        limit = torch.finfo(self._dtype).max
        return {"logits": logits_BC.clamp(-limit, limit).to(self._dtype)}

    def decode(self, found: Mapping[str, Tensor]) -> Kept:
        return found["logits"].float()

    def finite(self, logits_BC: Tensor) -> Tensor:
        return torch.isfinite(logits_BC).all(1)


class TopClasses:
    """The top classes in 6 bytes each, and the tail in 12."""

    def __init__(self, classes: int, kept: int) -> None:
        self._classes, self._kept = classes, kept
        self.a_row: Entries = {
            "tail": (torch.float32, (3,)), "classes": (torch.int32, (kept,)), "values": (torch.float16, (kept,))
        }  # fmt: skip

    def encode(self, logits_BC: Tensor) -> dict[str, Tensor]:
        found, limit = top_k(logits_BC, self._kept), torch.finfo(torch.float16).max
        values = found.values_BK.clamp(min=-limit).to(torch.float16)
        return {"tail": found.tail_B3, "classes": found.classes_BK.to(torch.int32), "values": values}

    def decode(self, found: Mapping[str, Tensor]) -> Kept:
        return TopK(found["values"].float(), found["classes"].long(), found["tail"], self._classes)

    def finite(self, logits_BC: Tensor) -> Tensor:
        return torch.isfinite(logits_BC).all(1)
