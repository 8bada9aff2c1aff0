"""Texts as a network reads them.

N = samples, B = batch, L = tokens of the longest text, T = tokens of all texts, A = words of all lists, or
tokens of all texts that another follows.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor

from app.contract.architectures import Family
from worker.engine.data.samples import Raw, TextSamples, Tokens, WordSamples
from worker.engine.data.units import Wordwise, ranges

Spelled = tuple[list[int], list[int]]
"""The tokens of a list of words, and the place among them of each word's first one, -1 where it has none."""


class Encoder(Protocol):
    """See `worker.engine.preprocessing`."""

    padding: int
    size: int

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...

    def spell(self, lists: Sequence[Sequence[str]]) -> list[Spelled]: ...


class Encoded:
    """Texts encoded once and resident on a device, without padding; each batch is padded to its longest text."""

    def __init__(self, numbers: Sequence[Sequence[int]], padding: int, device: torch.device) -> None:
        # A text without a single token is read as one piece of padding: networks cannot pool over nothing.
        kept = [found or (padding,) for found in numbers]
        self.lengths_N = torch.tensor([len(found) for found in kept])
        self._ids_T = torch.tensor(list(chain.from_iterable(kept)), dtype=torch.int32).to(device)
        self._starts_N = (self.lengths_N.cumsum(0) - self.lengths_N).to(device)
        self._padding = padding

    def take(self, rows_B: Tensor) -> Tokens:
        """Return a batch; `rows_B` lies on the device."""
        lengths_B = self.lengths_N[rows_B.cpu()]
        place_L = torch.arange(int(lengths_B.max()), device=rows_B.device)
        mask_BL = place_L < lengths_B.to(rows_B.device)[:, None]
        at_BL = torch.where(mask_BL, self._starts_N[rows_B][:, None] + place_L, 0)
        return Tokens(torch.where(mask_BL, self._ids_T[at_BL], self._padding).long(), mask_BL, lengths_B)


class Reading:
    """A preprocessing of texts at work on a device."""

    def __init__(self, encoder: Encoder, device: torch.device) -> None:
        self._encoder, self._device = encoder, device

    def __call__(self, raw: Raw) -> Tokens:
        """Return a batch of texts as a network takes it."""
        assert isinstance(raw, list)
        return self._encoded(raw).take(torch.arange(len(raw), device=self._device))

    def of_set(self, samples: TextSamples | WordSamples) -> Encoded:
        """Return all of a set's texts, or lists of words, encoded."""
        return self._encoded(samples.lists if isinstance(samples, WordSamples) else samples.texts)

    def _encoded(self, texts: Any) -> Encoded:
        return Encoded(self._encoder.encode(texts), self._encoder.padding, self._device)


class WordReading(Reading):
    """The same of lists of words."""

    def _encoded(self, texts: Any) -> "EncodedWords":
        return EncodedWords(self._encoder.spell(texts), self._encoder.padding, self._device)


class TokenReading(Reading):
    """The same of texts whose tokens are predicted."""

    def _encoded(self, texts: Any) -> "EncodedTokens":
        return EncodedTokens(self._encoder.encode(texts), self._encoder.padding, self._device)


def reading_of(architecture: Family) -> type[Reading]:
    """Return how texts are read for a network."""
    if architecture.tags_words():
        return WordReading
    return TokenReading if architecture.predicts_tokens() else Reading


class EncodedTokens(Encoded):
    """Texts, encoded; a batch knows where each token stands that another follows, and the set, which one follows."""

    def __init__(self, numbers: Sequence[Sequence[int]], padding: int, device: torch.device) -> None:
        super().__init__(numbers, padding, device)
        self.units = Wordwise(self.lengths_N - 1)
        """Of each text all tokens but the last."""

    def following(self) -> Tensor:
        """Return the tokens (A,) that follow, int64, on the device."""
        starts_N = self.lengths_N.cumsum(0) - self.lengths_N
        return self._ids_T[ranges(starts_N + 1, self.lengths_N - 1).to(self._ids_T.device)].long()

    def take(self, rows_B: Tensor) -> Tokens:
        tokens = super().take(rows_B)
        starts_B = torch.arange(len(rows_B)) * tokens.ids_BL.shape[1]
        return replace(tokens, heads_A=ranges(starts_B, tokens.lengths_B - 1).to(rows_B.device))


class EncodedWords(Encoded):
    """Lists of words, encoded; a batch knows where each word's first token stands."""

    def __init__(self, spelled: Sequence[Spelled], padding: int, device: torch.device) -> None:
        super().__init__([numbers for numbers, _ in spelled], padding, device)
        self._words = Wordwise(torch.tensor([len(firsts) for _, firsts in spelled]))
        self._firsts_A = torch.tensor(list(chain.from_iterable(firsts for _, firsts in spelled)))

    @property
    def seen(self) -> Tensor:
        """Whether a network gets to see each word (A,), on the CPU."""
        return self._firsts_A >= 0

    def take(self, rows_B: Tensor) -> Tokens:
        tokens, rows = super().take(rows_B), rows_B.cpu()
        firsts_A, owners_A = self._firsts_A[self._words.of(rows)], self._words.owners(rows)
        heads_A = torch.where(firsts_A < 0, -1, firsts_A + owners_A * tokens.ids_BL.shape[1])
        return replace(tokens, heads_A=heads_A.to(rows_B.device))
