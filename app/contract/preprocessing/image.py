"""Pictures as networks take them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.contract.preprocessing.preprocessing import Preprocess
from app.contract.samples import SampleKind

Side = Annotated[int, Field(ge=1, le=4_096)]
Mean = Annotated[tuple[Annotated[float, Field(ge=-1_000, le=1_000)], ...], Field(min_length=1, max_length=3)]
Deviation = Annotated[tuple[Annotated[float, Field(gt=0, le=1_000)], ...], Field(min_length=1, max_length=3)]


class Image(Preprocess):
    """(pixels / 255 - mean) / std, after a change of size. Without any preprocessing, pictures are pixels / 255."""

    title: ClassVar[str] = "Pictures"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"image"})

    kind: Literal["image"] = "image"
    mean: Mean = (0.0,)
    """Of each channel, where pixels go from 0 to 1; a single number is for all. ImageNet's: 0.485, 0.456, 0.406."""
    std: Deviation = (1.0,)
    """Of each channel, as above. ImageNet's: 0.229, 0.224, 0.225."""
    size: tuple[Side, Side] | None = None
    """Height and width to which this network's pictures are stretched: bilinear, smoothed where they shrink."""

    @model_validator(mode="after")
    def _of_one_or_all_channels(self) -> Self:
        if 2 in {len(self.mean), len(self.std)}:
            raise ValueError("mean and std have one number, or one for each of 3 channels")
        return self

    def refuses(self, kind: SampleKind, shape: tuple[int, ...]) -> str | None:
        if reason := super().refuses(kind, shape):
            return reason
        given = max(len(self.mean), len(self.std))
        if given in {1, shape[0]}:
            return None
        return f"its preprocessing has a mean and std of {given} channels, and the pictures have {shape[0]}"

    def prepared(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape if self.size is None else (*shape[:-2], *self.size)
