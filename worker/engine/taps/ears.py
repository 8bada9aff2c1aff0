"""Who listens to what a network tells by itself, such as the answers of a program's calls."""

from collections.abc import Callable, Iterable
from typing import Any

Hear = Callable[[Any], None]


class Ears:
    """Listeners by the slot that they listen to."""

    def __init__(self) -> None:
        self._at: dict[int, list[Hear]] = {}

    def __bool__(self) -> bool:
        return bool(self._at)

    def __contains__(self, place: int) -> bool:
        return place in self._at

    def add(self, place: int, hear: Hear) -> Callable[[], None]:
        """Listen to a slot; return what ends that."""
        self._at.setdefault(place, []).append(hear)
        return lambda: self._drop(place, hear)

    def tell(self, place: int, answer: Any) -> None:
        """Hand an answer to all who listen."""
        for hear in self._at[place]:
            hear(answer)

    def _drop(self, place: int, hear: Hear) -> None:
        self._at[place].remove(hear)
        if not self._at[place]:
            del self._at[place]


class Removable:
    """Ends several listenings at once."""

    def __init__(self, ends: Iterable[Callable[[], None]]) -> None:
        self._ends = list(ends)

    def remove(self) -> None:
        while self._ends:
            self._ends.pop()()
