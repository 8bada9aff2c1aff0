"""Patches of one image pasted into another."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Cutmix(Augmentation):
    """Pastes a random box of another training image over the image; the label shares are the areas'."""

    title: ClassVar[str] = "CutMix"
    paper: ClassVar[str] = "Yun et al. 2019, arXiv:1905.04899"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"image"})
    mixes: ClassVar[bool] = True

    kind: Literal["cutmix"] = "cutmix"
    alpha: float = Field(default=1.0, gt=0, le=100)
    """The box covers 1 - λ of the image, λ ~ Beta(α, α), before it is cut off at the border."""
