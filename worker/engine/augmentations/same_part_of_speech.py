"""Words of the same part of speech: Tang et al. 2019, arXiv:1903.12136."""

import warnings
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate

from app.contract.augmentations import SamePartOfSpeech
from app.contract.preprocessing import MASKED
from worker.engine.data.word_pieces import count_words, taken_apart
from worker.engine.views.draws import Draws


@dataclass(frozen=True)
class Stock:
    """The words of one part of speech."""

    words: list[str]
    counts: list[int]
    """How often they and all before them come."""

    def draw(self, number: float) -> str:
        """Return the word at a number in [0, 1), each as likely as it is frequent."""
        return self.words[bisect(self.counts, int(number * self.counts[-1]))]


def learn(_step: SamePartOfSpeech, texts: Iterable[str]) -> dict[str, Stock]:
    """Return the words of texts by part of speech."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        words = taken_apart(text)[1::2]
        for word, tag in zip(words, _tags(words), strict=True):
            if word != MASKED:
                found[tag][word] += 1
    return {tag: _stock(counts) for tag, counts in found.items()}


def change(step: SamePartOfSpeech, texts: list[str], draws: Draws, stocks: dict[str, Stock]) -> list[str]:
    """Put words of the same part of speech in the place of words."""
    apart = [taken_apart(text) for text in texts]
    drawn = draws.uniform(2 * max(1, *map(count_words, apart))).tolist()
    for pieces, numbers in zip(apart, drawn, strict=True):
        chosen = [word for word in range(count_words(pieces)) if numbers[2 * word] < step.probability]
        tags = _tags(pieces[1::2]) if chosen else []
        for word in chosen:
            stock = stocks.get(tags[word])
            if stock is not None and pieces[2 * word + 1] != MASKED:
                pieces[2 * word + 1] = stock.draw(numbers[2 * word + 1])
    return ["".join(pieces) for pieces in apart]


def _stock(counts: Counter[str]) -> Stock:
    words = sorted(counts)
    return Stock(words, list(accumulate(counts[word] for word in words)))


def _tags(words: list[str]) -> list[str]:
    """Return the Penn Treebank tags of a sentence's words, by the lexicon and the suffix rules of pattern.en."""
    # Only here: the import takes a second, and brings nltk. The lexicon lies in the package: nothing is downloaded.
    from textblob.en import parser  # noqa: PLC0415

    with warnings.catch_warnings():
        # It opens its lexicon at the first call, and leaves the closing to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        return [tag for _, tag in parser.find_tags(words)]
