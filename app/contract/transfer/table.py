"""Rows of named columns."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from app.contract.samples import SampleKind
from app.contract.transfer.format import Format
from app.contract.transfer.text import ClassName, Column

Columns = Annotated[tuple[Column, ...], Field(min_length=1, max_length=10_000)]


class Table(Format):
    """Rows of a CSV (with a header), JSON Lines or Parquet file, encoded by what the training part holds.

    Numbers less their mean, by their standard deviation; a number that is missing is the mean. Categories one-hot over
    their sorted values, and one more place where some are missing; a value that the training part lacks is all zeros.
    True and false are 1 and 0. Empty cells, null, None, NaN, NA and N/A are missing.
    """

    title: ClassVar[str] = "Table"
    holds: ClassVar[SampleKind] = "array"
    fitted: ClassVar[bool] = True

    kind: Literal["table"] = "table"
    label: Column | None = None
    """Name of the column of labels; by default `label`, `target` or `class` where there is one. Empty, null and -1 mean
    none."""
    split: Column | None = None
    """Name of the column with each sample's part (train, validation, test, or 0, 1, 2); by default `split` if there."""
    features: Columns | None = None
    """The columns that networks see, in this order; by default all others, in the file's order."""
    categories: Columns | None = None
    """Columns that are categories although they hold numbers: codes, numbers of kinds."""
    standardize: bool = True
    """Off: numbers stay as they are."""
    max_categories: int = Field(default=100, ge=2, le=10_000)
    """Different values that a column of categories may have in the training part."""
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=1_000)] | None = None
    """The names of classes 0, 1, ... in this order; by default labels that are strings are numbered in their sorted
    order."""

    @field_validator("classes", "features", "categories")
    @classmethod
    def _differ(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names and len(set(names)) < len(names):
            raise ValueError("the names must differ from one another")
        return names

    @model_validator(mode="after")
    def _asks_what_it_tells_not(self) -> Self:
        for what in ("label", "split"):
            if getattr(self, what) in (self.features or ()):
                raise ValueError(f"the column of the {what} cannot be one of the features")
        return self
