"""Sentences as lists of words, each word with a tag."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from app.contract.samples import SampleKind
from app.contract.transfer.format import Format
from app.contract.transfer.text import ClassName, Column


class TaggedWords(Format):
    """Lists of words in a JSON Lines or Parquet file: one row a sentence, a tag for each word (names, parts of speech).

    `{"tokens": ["Ada", "Lovelace", "wrote"], "tags": ["B-PER", "I-PER", "O"]}`, or tags by number.
    """

    title: ClassVar[str] = "Tagged words"
    holds: ClassVar[SampleKind] = "words"

    kind: Literal["tagged_words"] = "tagged_words"
    tokens: Column | None = None
    """Name of the column of word lists; by default `tokens` or `words`."""
    tags: Column | None = None
    """Name of the column of tags, as many as there are words; by default `tags`, `ner_tags`, `pos_tags` or `labels`
    where there is one. Null, -1 and -100 mean none, and a sentence may have none at all."""
    split: Column | None = None
    """Name of the column with each sentence's part (train, validation, test, or 0, 1, 2); by default `split` if there
    is one."""
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=100_000)] | None = None
    """The names of classes 0, 1, ... in this order; by default tags that are strings are numbered in their sorted
    order."""

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if classes and len(set(classes)) < len(classes):
            raise ValueError("the names of the classes must differ from one another")
        return classes
