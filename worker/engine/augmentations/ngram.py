"""Random n-grams: Tang et al. 2019, arXiv:1903.12136."""

from app.contract.augmentations import Ngram
from worker.engine.data.word_pieces import count_words, taken_apart
from worker.engine.views.draws import Draws


def change(step: Ngram, texts: list[str], draws: Draws) -> list[str]:
    """Cut texts down to a few words in a row."""
    drawn = draws.uniform(3).tolist()
    return [
        _snippet(step, text, length, place) if chosen < step.probability else text
        for text, (chosen, length, place) in zip(texts, drawn, strict=True)
    ]


def _snippet(step: Ngram, text: str, length: float, place: float) -> str:
    pieces = taken_apart(text)
    words = count_words(pieces)
    wanted = step.shortest + int(length * (step.longest - step.shortest + 1))
    if words <= wanted:
        return text
    first = int(place * (words - wanted + 1))
    return "".join(pieces[2 * first + 1 : 2 * (first + wanted)])
