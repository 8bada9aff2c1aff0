"""What every augmentation has in common."""

from typing import ClassVar

from app.contract.base import Contract
from app.contract.samples import SampleKind


class Augmentation(Contract):
    """One step from a sample to a view of it. Teacher and student see the same view."""

    title: ClassVar[str]
    paper: ClassVar[str] = ""
    takes: ClassVar[frozenset[SampleKind]]
    """The samples that it can change; `image` also means arrays of shape (channels, height, width)."""
    mixes: ClassVar[bool] = False
    """Whether it blends two samples, and so their labels."""
    learns: ClassVar[bool] = False
    """Whether it looks through the training part before it changes anything."""
    borrows: ClassVar[bool] = False
    """Whether it takes values from the nearest training sample."""

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        """Return why samples of this kind and shape (no batch axis) cannot be augmented so, or None."""
        if kind in self.takes or (kind == "array" and "image" in self.takes and len(shape) == 3):
            return None
        return f"{self.title} takes {' or '.join(sorted(self.takes))} samples, and these are {kind} of shape {shape}"
