"""Texts as words."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from app.contract.preprocessing.preprocessing import Preprocess
from app.contract.samples import SampleKind

Word = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class Words(Preprocess):
    """Cuts a text into words and numbers them by a vocabulary: yours, or the training part's commonest words."""

    title: ClassVar[str] = "Words"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"text", "words"})

    kind: Literal["words"] = "words"
    lower_case: bool = True
    pattern: str = Field(default=r"\w+|[^\w\s]", min_length=1, max_length=200)
    """A regular expression (Python's) whose matches are the words."""
    vocabulary: Annotated[tuple[Word, ...], Field(min_length=1, max_length=1_000_000)] | None = None
    """The words in the order of their numbers, from 0. Left out, it is `padding`, `unknown`, and then the commonest
    words of the transfer set's training part."""
    vocabulary_size: int | None = Field(default=None, ge=3, le=1_000_000)
    """Words that are kept where no vocabulary is given, `padding` and `unknown` among them; by default as many as the
    network embeds."""
    min_count: int = Field(default=1, ge=1, le=1_000_000)
    """Words that come less often in the training part are unknown."""
    padding: Word = "<pad>"
    """The vocabulary's word for nothing; where it has none, number 0 stands there and is not looked at."""
    unknown: Word = "<unk>"
    """The vocabulary's word for all others, masked ones too; where it has none, they are left out."""
    max_tokens: int = Field(default=128, ge=1, le=65_536)
    """What follows is cut off."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"the pattern is not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.padding == self.unknown:
            raise ValueError("padding and unknown must be different words")
        if self.vocabulary is None:
            return self
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError("the vocabulary holds a word twice")
        if self.vocabulary_size is not None or self.min_count > 1:
            raise ValueError("vocabulary_size and min_count choose a vocabulary, and one is given: leave them out")
        return self

    def longest(self) -> int:
        return self.max_tokens

    def tokens(self) -> int | None:
        return self.vocabulary_size if self.vocabulary is None else len(self.vocabulary)

    def whole(self) -> bool:
        return self.vocabulary is not None
