"""Words in the place of others like them."""

from typing import ClassVar, Literal

from pydantic import Field

from app.contract.augmentations.augmentation import Augmentation
from app.contract.samples import SampleKind


class SamePartOfSpeech(Augmentation):
    """Puts other words of the same part of speech in the place of words: English, drawn as often as the training part
    has them.

    Masked words stay masked, so after `mask` a probability p is p (1 - p_mask) of all words; the paper's 0.1 is 1/9.
    """

    title: ClassVar[str] = "Words of the same part of speech"
    paper: ClassVar[str] = "Tang et al. 2019, arXiv:1903.12136"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"text"})
    learns: ClassVar[bool] = True

    kind: Literal["same_part_of_speech"] = "same_part_of_speech"
    probability: float = Field(default=0.1, gt=0, le=1)
    """Of each word."""
