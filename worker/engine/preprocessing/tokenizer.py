"""Texts as the tokens of a Hugging Face tokenizer."""

import json
from collections.abc import Sequence

import tokenizers

from app.contract.preprocessing import MASKED, Tokenizer
from worker.engine.failures import Refused


class Encoder:
    """Numbers the tokens of texts."""

    def __init__(self, settings: Tokenizer) -> None:
        self._mask = settings.mask
        try:
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(settings.content))
            self._tokenizer.enable_truncation(settings.max_tokens)
        except Exception as error:  # the library raises this and nothing finer
            raise Refused(f"The tokenizer cannot be used: {' '.join(str(error).split())[:300]}.") from error
        padding = self._tokenizer.padding or {}
        self._tokenizer.no_padding()
        self.padding = int(padding.get("pad_id", 0))
        self.size = 1 + max(self._tokenizer.get_vocab().values(), default=-1)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        # One by one: in a batch the library starts threads of its own, and the cores are shared out already.
        return [self._tokenizer.encode(self._with_mask(text)).ids for text in texts]

    def _with_mask(self, text: str) -> str:
        return text if self._mask == MASKED else text.replace(MASKED, self._mask)
