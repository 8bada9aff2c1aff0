"""Texts as the tokens of a Hugging Face tokenizer."""

import json
from collections.abc import Sequence
from copy import deepcopy
from functools import cached_property
from typing import Any

import tokenizers

from app.contract.preprocessing import MASKED, Tokenizer
from worker.engine.failures import Refused


class Encoder:
    """Numbers the tokens of texts."""

    def __init__(self, settings: Tokenizer) -> None:
        self._settings, self._mask = settings, settings.mask
        self._tokenizer = _made(settings.content, settings.max_tokens)
        padding = self._tokenizer.padding or {}
        self._tokenizer.no_padding()
        self.padding = int(padding.get("pad_id", 0))
        self.size = 1 + max(self._tokenizer.get_vocab().values(), default=-1)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        # One by one: in a batch the library starts threads of its own, and the cores are shared out already.
        return [self._tokenizer.encode(self._with_mask(text)).ids for text in texts]

    def spell(self, lists: Sequence[Sequence[str]]) -> list[tuple[list[int], list[int]]]:
        """Return of each list its tokens, and where each word begins among them, -1 where it has none."""
        return [self._spell(words) for words in lists]

    def _spell(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        found = self._of_words.encode([self._with_mask(word) for word in words], is_pretokenized=True)
        firsts = [-1] * len(words)
        for place, word in reversed(list(enumerate(found.word_ids))):
            if word is not None:
                firsts[word] = place
        return found.ids, firsts

    @cached_property
    def _of_words(self) -> tokenizers.Tokenizer:
        made = _made(of_words(self._settings.content), self._settings.max_tokens)
        made.no_padding()
        return made

    def _with_mask(self, text: str) -> str:
        return text if self._mask == MASKED else text.replace(MASKED, self._mask)


def of_words(content: dict[str, Any]) -> dict[str, Any]:
    """Return a tokenizer.json for words in a list: a byte-level one puts before each the space that stood there."""
    content = deepcopy(content)
    outer = content.get("pre_tokenizer") or {}
    for step in (outer, *(outer.get("pretokenizers") or [])):
        if step.get("type") == "ByteLevel":
            step["add_prefix_space"] = True
    return content


def _made(content: dict[str, Any], max_tokens: int) -> tokenizers.Tokenizer:
    try:
        made = tokenizers.Tokenizer.from_str(json.dumps(content))
        made.enable_truncation(max_tokens)
    except Exception as error:  # the library raises this and nothing finer
        raise Refused(f"The tokenizer cannot be used: {' '.join(str(error).split())[:300]}.") from error
    return made
