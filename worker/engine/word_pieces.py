"""A text taken apart into words and what lies between them, so that it can be put together again."""

import re

from app.contract.preprocessing import MASKED

_WORD = re.compile(rf"({re.escape(MASKED)}|\w+(?:['’]\w+)*)")


def taken_apart(text: str) -> list[str]:
    """Return gaps and words in turn: gap, word, gap, ..., gap. Joined they are the text; a masked word is a word."""
    return _WORD.split(text)


def count_words(pieces: list[str]) -> int:
    return len(pieces) // 2
