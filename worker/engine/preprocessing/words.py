"""Texts as words, numbered by a vocabulary."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from app.contract.preprocessing import MASKED, Words


class Encoder:
    """Numbers the words of texts."""

    def __init__(self, settings: Words) -> None:
        """`settings` are whole: they have a vocabulary."""
        assert settings.vocabulary is not None
        self._settings = settings
        self._numbers = {word: number for number, word in enumerate(settings.vocabulary)}
        self._unknown = self._numbers.get(settings.unknown)
        self.padding = self._numbers.get(settings.padding, 0)
        self.size = len(self._numbers)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._encode(text) for text in texts]

    def spell(self, lists: Sequence[Sequence[str]]) -> list[tuple[list[int], list[int]]]:
        """Return of each list its tokens, and where each word begins among them, -1 beyond the cut.

        A word of which nothing is known is read as padding, for the place is the word's all the same.
        """
        return [self._spell(words) for words in lists]

    def _spell(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        numbers: list[int] = []
        firsts = []
        for word in words:
            firsts.append(len(numbers) if len(numbers) < self._settings.max_tokens else -1)
            numbers += self._known(word) or [self.padding]
        return numbers[: self._settings.max_tokens], firsts

    def _encode(self, text: str) -> list[int]:
        return self._known(text)[: self._settings.max_tokens]

    def _known(self, text: str) -> list[int]:
        found = (
            self._unknown if word is None else self._numbers.get(word, self._unknown) for word in self._words(text)
        )
        return [number for number in found if number is not None]

    def _words(self, text: str) -> Iterator[str | None]:
        """Yield the words, None for each masked one."""
        for place, piece in enumerate(text.split(MASKED)):
            if place:
                yield None
            yield from words_of(self._settings, piece)


def words_of(settings: Words, text: str) -> Iterator[str]:
    """Yield the words of a text, as the vocabulary has them."""
    lowered = text.lower() if settings.lower_case else text
    return (match.group() for match in re.finditer(settings.pattern, lowered) if match.group())


def learnt(settings: Words, texts: Iterable[str], size: int) -> Words:
    """Return the settings with a vocabulary: padding, unknown, and the commonest words of `texts`, `size` in all."""
    counts = Counter(word for text in texts for word in words_of(settings, text))
    for special in (settings.padding, settings.unknown):
        counts.pop(special, None)
    common = sorted((-count, word) for word, count in counts.items() if count >= settings.min_count)
    vocabulary = (settings.padding, settings.unknown, *(word for _, word in common))[: settings.vocabulary_size or size]
    whole = {"vocabulary": vocabulary, "vocabulary_size": None, "min_count": 1}
    return Words.model_validate({**settings.model_dump(), **whole})
