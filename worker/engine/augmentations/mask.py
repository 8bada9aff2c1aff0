"""Masked words: Tang et al. 2019, arXiv:1903.12136."""

from app.contract.augmentations import Mask
from app.contract.preprocessing import MASKED
from worker.engine.data.word_pieces import Written, count_words, put_together, taken_apart
from worker.engine.views.draws import Draws


def change(step: Mask, texts: list[Written], draws: Draws) -> list[Written]:
    """Put the mark of a masked word in the place of words."""
    apart = [taken_apart(text) for text in texts]
    drawn = draws.uniform(max(1, *map(count_words, apart))).tolist()
    for pieces, numbers in zip(apart, drawn, strict=True):
        for word in range(count_words(pieces)):
            if numbers[word] < step.probability:
                pieces[2 * word + 1] = MASKED
    return [put_together(pieces, text) for pieces, text in zip(apart, texts, strict=True)]
