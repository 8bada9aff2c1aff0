"""Samples that stay in their file, for sets that are larger than memory. B = batch."""

from typing import Self

import torch
from torch import Tensor

from app.contract.samples import SampleKind
from worker.engine.data.samples import ArraySamples
from worker.engine.files.row_file import RowFile

_COMPACT = {torch.float32, torch.float16, torch.bfloat16, torch.uint8, torch.int8, torch.int16, torch.bool}
"""Kept resident as they are stored; others as float32."""


class StreamedSamples:
    """Numbers in a file, read batch by batch and sent to the device."""

    def __init__(self, rows: RowFile, kind: SampleKind = "array", device: torch.device | None = None) -> None:
        self._rows, self.kind, self._device = rows, kind, device or torch.device("cpu")
        self.shape = tuple(rows.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def bytes(self) -> int:
        """What `resident` takes."""
        return self._rows.bytes // self._rows.dtype.itemsize * self._resident_dtype.itemsize

    def take(self, rows_B: Tensor) -> Tensor:
        return self._rows.take(rows_B.cpu().numpy()).to(self._device).to(torch.float32)

    def to(self, device: torch.device) -> Self:
        return type(self)(self._rows, self.kind, device)

    def resident(self) -> ArraySamples:
        """Return the same samples in memory."""
        return ArraySamples(self._rows.whole(self._resident_dtype), self.kind)

    def preview(self, row: int) -> list[float]:
        return ArraySamples(self._rows.take(torch.tensor([row]).numpy()), self.kind).preview(0)

    @property
    def _resident_dtype(self) -> torch.dtype:
        return self._rows.dtype if self._rows.dtype in _COMPACT else torch.float32
