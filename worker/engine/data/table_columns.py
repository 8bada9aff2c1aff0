"""What a column of a table holds: numbers, booleans, categories, or something that networks cannot take. N = rows."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Holds = Literal["numbers", "booleans", "categories", "dates", "lists", "nothing"]
_MISSING = {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "null", "NULL", "None"}
_BOOLEANS = {"true": 1.0, "false": 0.0}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?)?( ?(Z|UTC|[+-]\d{2}:?\d{2}))?"
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}( \d{1,2}:\d{2}(:\d{2})?)?|\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?",
    re.ASCII,
)


@dataclass(frozen=True)
class Values:
    """One column, told apart."""

    name: str
    holds: Holds
    numbers_N: NDArray[np.float64]
    """Of numbers and booleans; NaN where one is missing. Empty otherwise."""
    words: list[str | None]
    """Of categories; None where one is missing. Empty otherwise."""
    missing: int
    counts: Counter[str]
    """Of each value, as a word."""
    example: tuple[int, str] | None = None
    """Row and word of what is not as it should be: a date, a list, a word among numbers."""


def tell(name: str, column: Sequence[Any], *, as_categories: bool = False) -> Values:
    """Return what a column holds; `as_categories` takes numbers for names."""
    known = [(row, value) for row, value in enumerate(column) if not is_missing(value)]
    counts = Counter(_word(value) for _, value in known)
    missing = len(column) - len(known)
    nothing = Values(name, "nothing", np.empty(0), [], missing, counts)
    if not known:
        return nothing
    if listed := next(((row, value) for row, value in known if isinstance(value, list | dict | bytes)), None):
        return Values(name, "lists", np.empty(0), [], missing, counts, (listed[0], _word(listed[1])[:60]))
    if not as_categories:
        if all(_is_date(value) for _, value in known):
            return Values(name, "dates", np.empty(0), [], missing, counts, (known[0][0], _word(known[0][1])))
        for holds, read in (("booleans", _boolean), ("numbers", _number)):
            numbers_N = _all(known, read, len(column))
            if numbers_N is not None:
                return Values(name, holds, numbers_N, [], missing, counts)  # type: ignore[arg-type]  # the two words
    words = [None if is_missing(value) else _word(value) for value in column]
    return Values(name, "categories", np.empty(0), words, missing, counts, _odd_one(known))


def is_missing(value: Any) -> bool:
    """Return whether a cell is empty, in any of the ways in which people write that."""
    if isinstance(value, str):
        return value.strip() in _MISSING
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def _word(value: Any) -> str:
    # Pandas writes whole numbers with missing ones beside them as 1.0.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _all(known: Sequence[tuple[int, Any]], read: Any, rows: int) -> NDArray[np.float64] | None:
    numbers_N = np.full(rows, np.nan)
    for row, value in known:
        number = read(value)
        if number is None:
            return None
        numbers_N[row] = number
    return numbers_N


def _boolean(value: Any) -> float | None:
    return float(value) if isinstance(value, bool) else _BOOLEANS.get(str(value).strip().lower())


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else None
    if not isinstance(value, int | float | Decimal):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_date(value: Any) -> bool:
    return isinstance(value, date | time | timedelta) or (
        isinstance(value, str) and _DATE.fullmatch(value.strip()) is not None
    )


def _odd_one(known: Sequence[tuple[int, Any]]) -> tuple[int, str] | None:
    """Return the first value that keeps a column from being numbers, where nearly all others are."""
    odd = [(row, value) for row, value in known if _number(value) is None]
    return (odd[0][0], _word(odd[0][1])) if len(odd) * 10 <= len(known) and odd else None
