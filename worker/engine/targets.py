"""What the teacher says of any look: kept where its view comes again, computed anew where it does not. B = batch."""

from collections.abc import Callable

from torch import Tensor

from worker.engine.soft_targets import SoftTargets
from worker.engine.views import PLAIN, Look, Views

Predict = Callable[[Look], Tensor]
"""A look to logits (B, C)."""


class Targets:
    """One soft-target store for each view that comes again; `open_store` makes that of a view's number."""

    def __init__(
        self, views: Views, predict: Predict, open_store: Callable[[int, Callable[[Tensor], Tensor]], SoftTargets]
    ) -> None:
        self._views, self._predict, self._open = views, predict, open_store
        self._stores: dict[int, SoftTargets] = {}

    def complete(self, rows_B: Tensor, number: int) -> bool:
        """Return whether what the teacher says of these rows (B,), on the CPU, is kept."""
        return self._comes_again(number) and self._store(number).complete(rows_B)

    def fetch(self, look: Look) -> Tensor:
        """Return logits (B, C), after computing what is missing."""
        if not self._comes_again(look.number):
            return self._predict(look)
        return self._store(look.number).fetch(look.rows_B)

    def read(self, look: Look) -> Tensor:
        """Return logits (B, C); they must be complete."""
        return self._store(look.number).read(look.rows_B)

    def of_samples(self, rows_B: Tensor) -> Tensor:
        """Return the logits (B, C) of samples as they are."""
        return self.fetch(Look(rows_B))

    def flush(self) -> None:
        """Bring everything to disk."""
        for store in self._stores.values():
            store.flush()

    def _comes_again(self, number: int) -> bool:
        return number == PLAIN or self._views.kept is not None

    def _store(self, number: int) -> SoftTargets:
        if number not in self._stores:
            self._stores[number] = self._open(number, lambda rows_B: self._predict(self._views.look(rows_B, number)))
        return self._stores[number]
