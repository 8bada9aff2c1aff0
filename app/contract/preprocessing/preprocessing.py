"""What every preprocessing has in common."""

from typing import ClassVar

from app.contract.base import Contract
from app.contract.samples import SampleKind

MASKED = "[MASK]"
"""What stands in a view for a word that an augmentation masked; each preprocessing reads it in its own way."""


class Preprocess(Contract):
    """What a network does to a sample before it looks at it. It belongs to the network, and is exported with it."""

    title: ClassVar[str]
    takes: ClassVar[frozenset[SampleKind]]

    def tokens(self) -> int | None:
        """Return how many different tokens it tells apart at most; None where it has none, or they are not known."""
        return None

    def longest(self) -> int | None:
        """Return how many tokens it makes of a text at most."""
        return None

    def whole(self) -> bool:
        """Return whether it is all there, with nothing left to be learnt from a transfer set."""
        return True

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        """Return why samples of this kind and shape (no batch axis) cannot be prepared so, or None."""
        if kind in self.takes:
            return None
        return f"its preprocessing takes {' or '.join(sorted(self.takes))} samples, and these are {kind}"

    def prepared(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that a sample of this shape has afterwards."""
        return shape
