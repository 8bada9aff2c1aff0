"""Random crops of images."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Crop(Augmentation):
    """Pads the image on every side with zeros and cuts a window of the old size at a random place."""

    title: ClassVar[str] = "Random crop"
    paper: ClassVar[str] = "He et al. 2016, arXiv:1512.03385 (CIFAR: padding 4)"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"image"})

    kind: Literal["crop"] = "crop"
    padding: int = Field(default=4, ge=1, le=1_000)
    """Pixels: the largest shift in each direction."""
