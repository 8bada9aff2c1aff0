"""Snippets of texts."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Ngram(Augmentation):
    """Cuts a text down to n of its words in a row, n uniform from `shortest` to `longest`."""

    title: ClassVar[str] = "Random n-gram"
    paper: ClassVar[str] = "Tang et al. 2019, arXiv:1903.12136"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"text"})

    kind: Literal["ngram"] = "ngram"
    probability: float = Field(default=0.25, gt=0, le=1)
    """Of each text; others stay whole."""
    shortest: int = Field(default=1, ge=1, le=1_000)
    longest: int = Field(default=5, ge=1, le=1_000)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError("shortest must not be greater than longest")
        return self
