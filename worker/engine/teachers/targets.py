"""What the teacher says of any look: kept where its view comes again, computed anew where it does not.

B = batch, U = its units (`worker.engine.data.units`), N = samples of the set, C = classes.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from app.contract.report import SoftTargetUse
from app.contract.views import PLAIN
from worker.engine.checkpoint import write_bytes
from worker.engine.data.units import Units
from worker.engine.parallel.ranks import Ranks
from worker.engine.teachers.kept import Kept
from worker.engine.teachers.soft_targets import SoftTargets
from worker.engine.views.augmented import Look, Views


class Predict(Protocol):
    """A look to logits (A, C) of all its units; `said`: what teachers have said of it already, by their places."""

    def __call__(self, look: Look, said: Mapping[int, Tensor] = ..., /) -> Tensor: ...


Store = SoftTargets[Tensor, Kept]
OpenStore = Callable[[int, str, bool, Callable[[Tensor], Tensor]], Store]
"""Makes the store of a view's number and a part; of all classes, or as the job keeps them."""
_TRAIN = "train"


class Looks:
    """How often the teacher looked, and was spared to; kept in a file, because a job may be interrupted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, list[int]] = json.loads(path.read_bytes()) if path.exists() else {}

    def add(self, name: str, computed: int = 0, reused: int = 0) -> None:
        """Count looks of one store."""
        entry = self._known.setdefault(name, [0, 0])
        self._known[name] = [entry[0] + computed, max(0, entry[1] + reused)]

    def of(self, name: str) -> int:
        """Return how many looks of a store are accounted for."""
        return sum(self._known.get(name, (0, 0)))

    def total(self) -> SoftTargetUse:
        computed, reused = (sum(entry[place] for entry in self._known.values()) for place in (0, 1))
        return SoftTargetUse(computed=computed, reused=reused)

    def keep(self) -> None:
        """Bring the numbers to disk."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self._path, json.dumps(self._known).encode())


class Targets:
    """One soft-target store for each part and each view that comes again."""

    def __init__(
        self,
        views: Views,
        predict: Predict,
        rows: Mapping[str, Tensor],
        units: Units,
        open_store: OpenStore,
        looks: Looks,
        notice: Callable[[str], None],
        ranks: Ranks,
        *,
        coarse: bool,
    ) -> None:
        """`rows`: those of each part, on the CPU. `notice` takes sentences for the user.

        `coarse`: of the training part only the top classes are kept.
        """
        self._coarse, self._ranks = coarse, ranks
        self._views, self._predict, self._open = views, predict, open_store
        self._looks, self._notice, self._units = looks, notice, units
        self._part_N = _numbered(rows)
        self._parts = tuple(rows)
        self._stores: dict[tuple[int, str, bool], Store] = {}
        self._counted: dict[tuple[int, str, bool], int] = {}
        self._fresh = 0
        """Looks at views that do not come again, not counted yet."""

    def comes_again(self, number: int) -> bool:
        """Return whether what the teacher says of a view can be kept."""
        return number == PLAIN or self._views.kept is not None

    def complete(self, number: int) -> bool:
        """Return whether all that the teacher says of the training part under a view is kept."""
        return self.comes_again(number) and self._store(number, _TRAIN).complete

    def fill(self, number: int, told: Callable[[int], None]) -> None:
        """Have the teacher look at the whole training part under a view; `told` hears how many samples are done.

        Processes of a job share that: they meet on one file. Raises Stopped.
        """
        try:
            self._ranks.together(lambda: self._store(number, _TRAIN).fill(told))
        finally:
            self.flush()

    def of_training(self, look: Look, said: Mapping[int, Tensor] | None = None) -> Kept:
        """Return what is kept of a look at training samples, which must be complete; all logits of a fresh view.

        `said`: what members of the ensemble have said of this look already.
        """
        if self.comes_again(look.number):
            return self._store(look.number, _TRAIN).read(look.rows_B)
        self._fresh += len(look.rows_B)
        # A copy, because autograd keeps no tensor that was made in inference mode.
        return self._units.among(look.rows_B, self._predict(look, said or {}).clone())

    def of_samples(self, rows_B: Tensor) -> Tensor:
        """Return the logits (U, C) of samples as they are, after computing what is missing."""
        part_B, owners_U = self._part_N[rows_B.cpu()], self._units.owners(rows_B.cpu())
        found: Tensor | None = None
        for number in torch.unique(part_B).tolist():
            place_B = (part_B == number).nonzero()[:, 0].to(rows_B.device)
            place_U = (part_B[owners_U] == number).nonzero()[:, 0].to(rows_B.device)
            said_UC = self._store(PLAIN, self._parts[number], whole=True).fetch(rows_B[place_B])
            assert isinstance(said_UC, Tensor)
            found = said_UC.new_empty(len(owners_U), said_UC.shape[1]) if found is None else found
            found[place_U] = said_UC
        assert found is not None
        return found

    def use(self) -> SoftTargetUse:
        """Return what the soft targets have cost so far."""
        self._count()
        return self._looks.total()

    def flush(self) -> None:
        """Bring everything to disk."""
        for store in self._stores.values():
            store.flush()
        self._count()
        if self._ranks.leads:
            self._looks.keep()

    def _count(self) -> None:
        """Count what all processes of the job have done since the last time."""
        for done in self._ranks.tell(self._done()):
            for name, computed in done.items():
                self._looks.add(name, computed=computed)
        for place, store in self._stores.items():
            others = store.present - self._looks.of(_name(*place))
            # Fewer than it seemed, where another process of the job has made them.
            self._looks.add(_name(*place), reused=others if self._ranks.size > 1 else max(0, others))

    def _done(self) -> dict[str, int]:
        found = {"fresh": self._fresh} if self._fresh else {}
        for place, store in self._stores.items():
            found[_name(*place)] = store.computed - self._counted.get(place, 0)
            self._counted[place] = store.computed
        self._fresh = 0
        return found

    def _store(self, number: int, part: str, *, whole: bool = False) -> Store:
        """Return a store; `whole` asks for all classes also where the training part keeps only the top ones."""
        place = number, part, whole and part == _TRAIN and self._coarse
        if place not in self._stores:
            self._stores[place] = self._opened(*place)
        return self._stores[place]

    def _opened(self, number: int, part: str, whole: bool) -> Store:  # noqa: FBT001 - a part of the place
        store = self._open(number, part, whole, lambda rows_B: self._predict(self._views.look(rows_B, number)))
        name, present = _name(number, part, whole), store.present
        reused = max(0, present - self._looks.of(name))
        self._looks.add(name, reused=reused)
        if reused and part == _TRAIN:
            view = "" if number == PLAIN else f" of view {number}"
            self._notice(f"Soft targets{view} come from an earlier job: the teacher need not look at {reused} samples.")
        if store.made_on:
            self._notice(f"Soft targets were made on {store.made_on}: the student may differ in its last bits.")
        if store.damaged:
            self._notice("Soft targets were damaged on disk: what was lost is computed again.")
        return store


def _name(number: int, part: str, whole: bool) -> str:  # noqa: FBT001 - a part of the place
    return f"{part} {number}{' whole' if whole else ''}"


def _numbered(rows: Mapping[str, Tensor]) -> Tensor:
    """Return the number of each sample's part (N,)."""
    part_N = torch.zeros(1 + max(int(found.max()) for found in rows.values() if len(found)), dtype=torch.int8)
    for number, found in enumerate(rows.values()):
        part_N[found] = number
    return part_N
