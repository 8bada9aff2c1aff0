"""Pictures."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from app.contract.samples import SampleKind
from app.contract.transfer.format import Format
from app.contract.transfer.text import ClassName, Column

Side = Annotated[int, Field(ge=1, le=4_096)]


class Images(Format):
    """PNG, JPEG, WebP, BMP or GIF pictures in class folders of a .zip, .tar or .tar.gz file, or in a Parquet column.

    Folders: `cat/1.png`, or `train/cat/1.png` beside `validation` and `test`; `unlabelled/7.png` has no label. Of an
    animation the first frame; transparency is dropped; orientation tags are not followed.
    """

    title: ClassVar[str] = "Images"
    holds: ClassVar[SampleKind] = "image"

    kind: Literal["images"] = "images"
    size: tuple[Side, Side] | None = None
    """Height and width to which every picture is stretched; by default all must have one size."""
    filter: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    """How pictures are resized; all but `nearest` smooth what they shrink."""
    channels: Literal[1, 3] | None = None
    """1 (grey, ITU-R BT.601) or 3 (red, green, blue); by default 1 where all pictures are grey, else 3."""
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=100_000)] | None = None
    """The names of classes 0, 1, ... in this order; by default the folders' names, or a column's labels, sorted."""
    image: Column | None = None
    """Parquet: the column of pictures, as bytes or as {bytes, path}; by default `image` or `img`."""
    label: Column | None = None
    """Parquet: the column of labels; by default `label` or `labels` where there is one. Null and -1 mean none."""
    split: Column | None = None
    """Parquet: the column of parts (train, validation, test, or 0, 1, 2); by default `split` where there is one."""

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if classes and len(set(classes)) < len(classes):
            raise ValueError("the names of the classes must differ from one another")
        return classes
