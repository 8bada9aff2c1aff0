"""Gaussian noise."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Noise(Augmentation):
    """Adds independent normal noise to every value."""

    title: ClassVar[str] = "Gaussian noise"
    paper: ClassVar[str] = "Bishop 1995, Training with noise is equivalent to Tikhonov regularization"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"array", "image"})

    kind: Literal["noise"] = "noise"
    std: float = Field(gt=0, le=1e6)
    """Standard deviation, in the units of the inputs; of images' 0-to-255 values."""
