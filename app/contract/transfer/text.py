"""Sentences and documents."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, StringConstraints, field_validator

from app.contract.samples import SampleKind
from app.contract.transfer.format import Format

Column = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ClassName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Text(Format):
    """Texts in a CSV (with a header), JSON Lines or Parquet file: one row a sample, labels as strings or integers."""

    title: ClassVar[str] = "Text"
    holds: ClassVar[SampleKind] = "text"

    kind: Literal["text"] = "text"
    text: Column | None = None
    """Name of the column of texts; by default `text` or `sentence`."""
    label: Column | None = None
    """Name of the column of labels; by default `label` or `labels` where there is one. Empty, null and -1 mean none."""
    split: Column | None = None
    """Name of the column with each sample's part (train, validation, test, or 0, 1, 2); by default `split` if there."""
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=100_000)] | None = None
    """The names of classes 0, 1, ... in this order; by default labels that are strings are numbered in their sorted
    order."""

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if classes and len(set(classes)) < len(classes):
            raise ValueError("the names of the classes must differ from one another")
        return classes
