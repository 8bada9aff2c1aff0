"""Jittered colours."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Colour(Augmentation):
    """Scales brightness, contrast and saturation by factors drawn from [1 - x, 1 + x], in this order."""

    title: ClassVar[str] = "Colour jitter"
    paper: ClassVar[str] = "Howard 2013, arXiv:1312.5402"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"image"})

    kind: Literal["colour"] = "colour"
    brightness: float = Field(default=0.4, ge=0, le=1)
    contrast: float = Field(default=0.4, ge=0, le=1)
    """Around the mean grey of the image."""
    saturation: float = Field(default=0.4, ge=0, le=1)
    """Around each pixel's grey (ITU-R BT.601); images of three channels only."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.brightness or self.contrast or self.saturation):
            raise ValueError("brightness, contrast and saturation are all 0: nothing would change")
        return self

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        if self.saturation and len(shape) == 3 and shape[0] != 3:
            return f"{self.title} changes the saturation of images with 3 channels, not {shape[0]}: set saturation to 0"
        return super().refuses(kind, shape)
