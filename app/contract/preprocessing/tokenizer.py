"""Texts as the tokens of a trained tokenizer."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from app.contract.preprocessing.preprocessing import MASKED, Preprocess
from app.contract.samples import SampleKind


class Tokenizer(Preprocess):
    """A Hugging Face tokenizer. It brings its own normalisation, vocabulary and special tokens.

    Of words in a list each is cut into tokens of its own, a byte-level tokenizer's with the space before it.
    """

    title: ClassVar[str] = "Tokenizer"
    takes: ClassVar[frozenset[SampleKind]] = frozenset({"text", "words"})

    kind: Literal["tokenizer"] = "tokenizer"
    content: dict[str, Any]
    """What `tokenizer.json` holds."""
    mask: str = Field(default=MASKED, min_length=1, max_length=100)
    """The tokenizer's token for a masked word: `[MASK]` of BERT, `<mask>` of RoBERTa."""
    max_tokens: int = Field(default=128, ge=1, le=65_536)
    """What follows is cut off; special tokens count."""

    @field_validator("content")
    @classmethod
    def _is_one(cls, content: dict[str, Any]) -> dict[str, Any]:
        model = content.get("model")
        if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict | list) or not model["vocab"]:
            raise ValueError(
                "this is not the content of a tokenizer.json: it has no model with a vocabulary (model.vocab)"
            )
        return content

    def longest(self) -> int:
        return self.max_tokens

    def tokens(self) -> int:
        return 1 + max((number for _, number in self.numbered()), default=-1)

    def numbered(self) -> Iterator[tuple[str, int]]:
        """Yield each token with its number, added ones last."""
        vocabulary = self.content["model"]["vocab"]
        # A unigram model's is a list of [token, score].
        listed = vocabulary.items() if isinstance(vocabulary, dict) else _with_numbers(vocabulary)
        added = self.content.get("added_tokens") or []
        yield from ((str(token), number) for token, number in listed if isinstance(number, int))
        for entry in added:
            if isinstance(entry, dict) and isinstance(entry.get("id"), int):
                yield str(entry.get("content")), entry["id"]


def _with_numbers(listed: list[Any]) -> Iterator[tuple[Any, int]]:
    return ((entry[0] if isinstance(entry, list) and entry else entry, number) for number, entry in enumerate(listed))
