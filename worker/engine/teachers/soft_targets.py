"""What teachers say, or hold, of one part of a set under one view: computed once, by whichever job comes first.

N = samples of the part, B = batch, U = its units (`worker.engine.data.units`), C = classes, R = units of a block.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor

from app.contract.soft_targets import file_name
from app.contract.states import FailureCode
from worker.engine.data.units import Samplewise, Units
from worker.engine.failures import EngineFailure
from worker.engine.teachers import target_file
from worker.engine.teachers.kept import Keeps
from worker.engine.teachers.target_file import Form, TargetFile

Said = TypeVar("Said")
Read = TypeVar("Read")
_BLOCK = {"cpu": 64, "cuda": 256}
"""Samples that the teacher sees at once: larger batches were slower on CPUs."""
_FLUSH_SECONDS = 5.0
_PATIENCE_SECONDS = 30.0
"""So long others may sit on blocks, without finishing one, before this job computes them too."""
_LOOK_AGAIN_SECONDS = 0.05


@dataclass(frozen=True)
class Place:
    """Where soft targets lie, and what they are called."""

    folder: Path
    key: str
    """See `app.contract.soft_targets`."""
    made_on: str
    """On what this job runs: machines of other kinds round otherwise."""

    @property
    def path(self) -> Path:
        return self.folder / file_name(self.key, self.made_on)

    def elsewhere(self) -> list[Path]:
        """Return whole files that were made on machines of other kinds."""
        return sorted(path for path in self.folder.glob(f"{self.key}-*.safetensors") if path != self.path)


class SoftTargets(Generic[Said, Read]):
    """Logits, or features, by sample and unit.

    Each block is a batch of its own: all jobs on machines of one kind get the same bits. Kept are all units, also those
    that take no part in this job: which these are depends on its student, too.
    """

    def __init__(
        self,
        place: Place,
        rows_N: Tensor,
        kept: Keeps[Said, Read],
        predict: Callable[[Tensor], Said],
        pause: Callable[[], None] = lambda: None,
        units: Units | None = None,
        at_once: int | None = None,
    ) -> None:
        """`rows_N`: the part's rows, ascending, on the device; `predict` tells what is said of rows (logits (R, C)).

        `pause` is called between blocks and may raise. `units`: those of the part; by default each sample is one.
        `at_once`: of so many samples the teacher can speak at once, where they are fewer than usual.
        """
        self._rows_N, self._kept, self._predict, self._pause = rows_N, kept, predict, pause
        self._units = Samplewise(len(rows_N)) if units is None else units
        usual = _BLOCK[rows_N.device.type]
        self._own_block = min(usual, at_once or usual)
        self._open(place)
        self._flushed = time.monotonic()
        self._dirty = False

    def _open(self, place: Place) -> None:
        own = self._own_block
        self.made_on = ""
        """The machine that made them, where that is one of another kind."""
        for path in [] if place.path.exists() else place.elsewhere():
            if self._take_over(path, own):
                return
        said = {"key": place.key, "made_on": place.made_on, "block": str(own)}
        self._attach(TargetFile(place.path, self._form(own), said), own)

    def _take_over(self, path: Path, own: int) -> bool:
        """Use a file that was made elsewhere, if it is intact; it is never added to."""
        said = target_file.about(path)
        block = int(said.get("block", own))
        if not target_file.fits(path, self._form(block)):
            return False
        self._attach(TargetFile(path, self._form(block), said), block)
        self.made_on = said["made_on"]
        return self.complete

    def _form(self, block: int) -> Form:
        return Form(self._units.bounds(block), self._kept.a_row)

    def _attach(self, file: TargetFile, block: int) -> None:
        self._file, self._block = file, block
        # On the CPU these are the mapped pages themselves; on a GPU a copy, made once everything is there.
        self._host = {name: torch.from_numpy(array) for name, array in file.arrays.items()}
        self._resident = self._host if self._rows_N.device.type == "cpu" else None
        blocks = range(file.form.blocks)
        self._there = [file.vouched(block) for block in blocks]
        self.damaged = sum(file.begun(block) and not self._there[block] for block in blocks)
        """Blocks whose values are not those that were written: they are computed again."""
        self.computed = 0
        """Samples that this object had the teacher look at."""

    @property
    def complete(self) -> bool:
        """Whether the logits of every sample are there."""
        return all(self._there)

    @property
    def present(self) -> int:
        """The number of samples whose logits are there."""
        return sum(self._size(block) for block, there in enumerate(self._there) if there)

    def fill(self, told: Callable[[int], None] = lambda _rows: None) -> None:
        """Compute all that is missing; what others are computing is waited for. Raises what `pause` does.

        `told` is called after each block, with the number of samples that are there.
        """
        count = self.present

        def got(block: int) -> None:
            nonlocal count
            count += self._size(block)
            told(count)

        self._fill(range(len(self._there)), got)
        self._file.finish()
        self._dirty = False

    def fetch(self, rows_B: Tensor) -> Read:
        """Return what is kept of rows (B,), after computing what is missing."""
        if not self.complete:
            blocks = torch.unique(self._at(rows_B) // self._block).tolist()
            self._fill(blocks)
            if self.complete:
                self._file.finish()
        return self.read(rows_B)

    def read(self, rows_B: Tensor) -> Read:
        """Return what is kept of rows (B,), such as logits (U, C) as float32; it must be there."""
        at_U = self._units.of(self._at(rows_B))
        if self._resident is None and self.complete:
            self._resident = {name: array.to(rows_B.device) for name, array in self._host.items()}
        if self._resident is None:
            found = {name: array[at_U.cpu()].to(rows_B.device) for name, array in self._host.items()}
        else:
            found = {name: array.index_select(0, at_U) for name, array in self._resident.items()}
        return self._kept.decode(found)

    def flush(self) -> None:
        """Bring everything to disk."""
        if self._dirty:
            self._file.flush()
        self._dirty, self._flushed = False, time.monotonic()

    def _at(self, rows_B: Tensor) -> Tensor:
        return torch.searchsorted(self._rows_N, rows_B)

    def _fill(self, blocks: Iterable[int], got: Callable[[int], None] = lambda _block: None) -> None:
        missing, since = [block for block in blocks if not self._there[block]], time.monotonic()
        while missing:
            left = [block for block in missing if not self._get(block, got, patient=True)]
            if len(left) < len(missing):
                since = time.monotonic()
            elif time.monotonic() - since > _PATIENCE_SECONDS:
                self._get(left.pop(0), got, patient=False)
            else:
                self._pause()
                time.sleep(_LOOK_AGAIN_SECONDS)
            missing = left

    def _get(self, block: int, got: Callable[[int], None], *, patient: bool) -> bool:
        """Find or compute a block; return False where another job is at it and we are patient."""
        self._pause()
        with self._file.claim(block) as ours:
            if not self._file.vouched(block):
                if patient and not ours:
                    return False
                self._compute(block)
        self._there[block] = True
        got(block)
        return True

    def _compute(self, block: int) -> None:
        samples, units = self._samples(block), self._file.form.rows_of(block)
        said = self._predict(self._rows_N[samples])
        self._check_finite(said, units)
        with torch.inference_mode():
            for name, values in self._kept.encode(said).items():
                self._host[name][units] = values.cpu()
        self._file.vouch(block)
        self.computed += self._size(block)
        self._dirty = True
        if time.monotonic() - self._flushed > _FLUSH_SECONDS:
            self.flush()

    def _samples(self, block: int) -> slice:
        return slice(block * self._block, min((block + 1) * self._block, len(self._rows_N)))

    def _size(self, block: int) -> int:
        samples = self._samples(block)
        return int(samples.stop - samples.start)

    def _check_finite(self, said: Said, units: slice) -> None:
        finite_R = self._kept.finite(said).cpu()
        if not finite_R.all():
            wrong, starts = units.start + int((~finite_R).nonzero()[0]), self._units.bounds(1)
            row = int(self._rows_N[bisect_right(starts, wrong) - 1])
            raise EngineFailure(FailureCode.INVALID_WEIGHTS, f"The teacher's outputs for row {row} are not finite.")
