"""Mirrored images."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Flip(Augmentation):
    """Mirrors the image left to right."""

    title: ClassVar[str] = "Horizontal flip"
    paper: ClassVar[str] = "He et al. 2016, arXiv:1512.03385"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"image"})

    kind: Literal["flip"] = "flip"
    probability: float = Field(default=0.5, gt=0, le=1)
