"""A text or a list of words, taken apart into words and the gaps between them, to be put together again."""

import re
from itertools import chain
from typing import TypeVar

from app.contract.preprocessing import MASKED

Written = TypeVar("Written", str, list[str])
_WORD = re.compile(rf"({re.escape(MASKED)}|\w+(?:['’]\w+)*)")


def taken_apart(text: str | list[str]) -> list[str]:
    """Return gaps and words in turn: gap, word, gap, ..., gap; a masked word is a word. Between a list's is nothing."""
    if isinstance(text, str):
        return _WORD.split(text)
    return ["", *chain.from_iterable((word, "") for word in text)]


def put_together(pieces: list[str], like: Written) -> Written:
    """Return the text, or the list of words, of which these are the gaps and words."""
    return "".join(pieces) if isinstance(like, str) else pieces[1::2]


def count_words(pieces: list[str]) -> int:
    return len(pieces) // 2
