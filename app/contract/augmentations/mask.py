"""Masked words."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class Mask(Augmentation):
    """Hides words of a text: a tokenizer reads its own mask token there, and `words` read an unknown word.

    A word is a run of letters, digits and apostrophes, or what a list of words has as one.
    """

    title: ClassVar[str] = "Masked words"
    paper: ClassVar[str] = "Tang et al. 2019, arXiv:1903.12136"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"text", "words"})

    kind: Literal["mask"] = "mask"
    probability: float = Field(default=0.1, gt=0, le=1)
    """Of each word."""
