"""The teacher's logits on one view, computed once and kept memory-mapped. N = samples, B = batch, C = classes."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from app.contract.states import FailureCode
from worker.engine.failures import EngineFailure

SMALL_BYTES = 64 * 2**20
"""Up to here the logits are kept as float32, beyond as float16."""


class SoftTargets:
    """Filled lazily, in the batches in which training asks; what was stored is what every epoch reads.

    `key` names all that the logits depend on (teacher, data, view, taps): another key is another file.
    """

    def __init__(
        self,
        folder: Path,
        key: Mapping[str, object],
        predict: Callable[[Tensor], Tensor],
        shape: tuple[int, int],
        device: torch.device,
    ) -> None:
        """`predict` tells the logits (B, C) of rows (B,) of this view; `shape` is (N, C)."""
        folder.mkdir(parents=True, exist_ok=True)
        self._predict = predict
        text = json.dumps(key, sort_keys=True)
        name = f"soft_targets-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
        kind = np.float32 if shape[0] * shape[1] * 4 <= SMALL_BYTES else np.float16
        self._stored_NC = _mapped(folder / f"{name}.npy", shape, np.dtype(kind))
        self._stored_filled_N = _mapped(folder / f"{name}.filled.npy", shape[:1], np.dtype(np.bool_))
        self._filled_N = torch.from_numpy(self._stored_filled_N.copy())
        # On the CPU these are the mapped pages themselves; on a GPU a resident copy, written back by `flush`.
        self._host_NC = torch.from_numpy(self._stored_NC)
        self._values_NC = self._host_NC.to(device)
        self._dirty = False

    def complete(self, rows_B: Tensor) -> bool:
        """Return whether the logits of all these rows (B,), on the CPU, are there."""
        return bool(self._filled_N[rows_B].all())

    def fetch(self, rows_B: Tensor) -> Tensor:
        """Return logits (B, C) as float32, after computing what is missing."""
        rows_on_host_B = rows_B.cpu()
        if not self.complete(rows_on_host_B):
            self._fill(rows_B, rows_on_host_B)
        return self.read(rows_B)

    def read(self, rows_B: Tensor) -> Tensor:
        """Return logits (B, C) as float32; they must be complete."""
        return self._values_NC.index_select(0, rows_B).float()

    def flush(self) -> None:
        """Bring everything to disk, the values before the mask that vouches for them."""
        if not self._dirty:
            return
        if self._values_NC.device != self._host_NC.device:
            self._host_NC.copy_(self._values_NC)
        self._stored_NC.flush()
        # Or, because another job on this host may have filled other rows.
        self._stored_filled_N |= self._filled_N.numpy()
        self._stored_filled_N.flush()
        self._dirty = False

    def _fill(self, rows_B: Tensor, rows_on_host_B: Tensor) -> None:
        # The whole batch, also where only a part is missing: rounding depends on a batch's size, and a run that was
        # interrupted must get the same bits.
        missing_B = ~self._filled_N[rows_on_host_B]
        logits_BC = self._predict(rows_B)
        self._check_finite(logits_BC, rows_on_host_B)
        kind = self._values_NC.dtype
        limit = torch.finfo(kind).max
        with torch.inference_mode():
            chosen_B = missing_B.to(rows_B.device)
            self._values_NC[rows_B[chosen_B]] = logits_BC[chosen_B].clamp(-limit, limit).to(kind)
        self._filled_N[rows_on_host_B] = True
        self._dirty = True

    @staticmethod
    def _check_finite(logits_BC: Tensor, rows_B: Tensor) -> None:
        finite_B = torch.isfinite(logits_BC).all(1).cpu()
        if not finite_B.all():
            row = int(rows_B[int((~finite_B).nonzero()[0])])
            raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher's outputs for row {row} are not finite.")


def _mapped(path: Path, shape: tuple[int, ...], kind: np.dtype[np.generic]) -> np.memmap:
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        fresh = open_memmap(temporary, mode="w+", dtype=kind, shape=shape)
        try:
            # Claimed now: a full disk is an error here, and a deadly signal when a mapped page cannot be written.
            with temporary.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, max(fresh.nbytes + fresh.offset, 1))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return open_memmap(path, mode="r+")
