"""What teachers hold at their taps under any look: kept where that pays, else heard anew. B = batch, N = samples."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from app.contract.architectures import Family
from app.contract.views import PLAIN
from worker.engine.data.samples import Inputs
from worker.engine.parallel.ranks import Ranks
from worker.engine.taps.feature import Feature
from worker.engine.taps.listener import Listener
from worker.engine.teachers.kept_features import Heard, KeptFeatures, Place, keepable
from worker.engine.teachers.soft_targets import SoftTargets
from worker.engine.teachers.teacher import Teacher
from worker.engine.views.augmented import Look, Views
from worker.engine.views.sight import Sight

Store = SoftTargets[Heard, Heard]
OpenStore = Callable[[int, KeptFeatures, Callable[[Tensor], Heard]], Store]
"""Makes the store of a view's number for the training part."""


class Ears:
    """Teachers listened to: in evaluation mode, and out of autograd's sight."""

    def __init__(self, taps: Sequence[Place], members: Sequence[tuple[Family, nn.Module, Sight]]) -> None:
        """`taps`: member and name of each tap that is listened to."""
        self._members: dict[int, tuple[Listener, Sight]] = {}
        for number in sorted({member for member, _ in taps}):
            architecture, network, sight = members[number]
            names = [name for member, name in taps if member == number]
            self._members[number] = Listener(architecture, Teacher(network).network, names), sight
        self._last: tuple[Look | None, dict[int, Tensor]] = None, {}

    def __bool__(self) -> bool:
        return bool(self._members)

    def hear(self, look: Look) -> Heard:
        """Return the features of a look."""
        found: dict[Place, Feature] = {}
        said: dict[int, Tensor] = {}
        # Not inference mode, whose tensors nothing may be learnt against.
        with torch.no_grad():
            for number, (listener, sight) in self._members.items():
                said[number], features = listener(sight.of(look))
                found |= {(number, name): feature for name, feature in features.items()}
        self._last = look, said
        return found

    def said(self, look: Look) -> Mapping[int, Tensor]:
        """Return the logits (B, own classes) of each member that was heard at this very look just before."""
        return self._last[1] if self._last[0] is look else {}

    def inputs(self, look: Look) -> list[Inputs]:
        """Return what each teacher is given."""
        return [sight.of(look) for _, sight in self._members.values()]


class TeacherFeatures:
    """The features of a job's training part."""

    def __init__(
        self, ears: Ears, views: Views, rows_N: Tensor, open_store: OpenStore, budget: int, ranks: Ranks
    ) -> None:
        """`rows_N`: the part's rows, on the device. `budget`: bytes that may be kept of all views together."""
        self._ranks = ranks
        self._ears, self._views, self._rows_N = ears, views, rows_N
        self._open, self._budget = open_store, budget
        self._stores: dict[int, Store] = {}

    def complete(self, number: int) -> bool:
        """Return whether nothing has to be computed before an epoch that sees this view."""
        return not self._keeps(number) or self._store(number).complete

    def fill(self, number: int, told: Callable[[int], None]) -> None:
        """Have the teachers look at the whole part under a view; processes of a job share that. Raises Stopped."""
        try:
            self._ranks.together(lambda: self._store(number).fill(told))
        finally:
            self.flush()

    def of(self, look: Look) -> Heard:
        """Return the features of a look at training samples by member and tap; what is kept must be complete."""
        return self._store(look.number).read(look.rows_B) if self._keeps(look.number) else self._ears.hear(look)

    def said(self, look: Look) -> Mapping[int, Tensor]:
        """Return what members were heard to say when `of` had them look: they need not look again."""
        return self._ears.said(look)

    def flush(self) -> None:
        """Bring everything to disk."""
        for store in self._stores.values():
            store.flush()

    def _keeps(self, number: int) -> bool:
        comes_again = number == PLAIN or self._views.kept is not None
        return bool(self._ears) and comes_again and self._form is not None

    @cached_property
    def _form(self) -> KeptFeatures | None:
        """How features are kept; None where they are too large, or of another shape for each sample."""
        look = Look(self._rows_N[:1])
        example = self._ears.hear(look)
        if not all(keepable(example, inputs) for inputs in self._ears.inputs(look)):
            return None
        kept = KeptFeatures(example)
        return kept if kept.bytes * len(self._rows_N) * max(self._views.kept or 1, 1) <= self._budget else None

    def _store(self, number: int) -> Store:
        if number not in self._stores:
            assert self._form is not None
            self._stores[number] = self._open(
                number, self._form, lambda rows_B: self._ears.hear(self._views.look(rows_B, number))
            )
        return self._stores[number]
