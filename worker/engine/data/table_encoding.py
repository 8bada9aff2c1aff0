"""Columns as numbers that networks take: a function of the columns and the training rows. N = rows, F = inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.contract.transfer import Table
from worker.engine.data.table_columns import Values
from worker.engine.failures import Refused

MAX_BYTES = 8 * 2**30
_BYTES = 4
_LIMITS = np.finfo(np.float32)


@dataclass(frozen=True)
class Rule:
    """How one column becomes numbers: one is (value - centre) / scale, or categories have a place each."""

    column: str
    start: int
    stop: int
    """Its places among the inputs."""
    nominal: bool
    """Whether it holds names or booleans, rather than amounts."""
    missing: float = 0.0
    """What a missing number counts as."""
    centre: float = 0.0
    scale: float = 1.0
    values: tuple[str | None, ...] = ()
    """The categories in the order of their places; None stands for a missing one. All others are zeros."""


def problems_of(
    columns: Sequence[Values], training: NDArray[np.int64], wanted: Table, place: Callable[[int], str]
) -> list[str]:
    """Return a sentence for each column that cannot be encoded; `place` says where a row is."""
    found = (_problem(column, training, wanted, place) for column in columns)
    return [problem for problem in found if problem]


def fit(columns: Sequence[Values], training: NDArray[np.int64], wanted: Table) -> tuple[Rule, ...]:
    """Return how each column is encoded: what the training rows of the columns say."""
    rules: list[Rule] = []
    for column in columns:
        start = rules[-1].stop if rules else 0
        rule = _categories(column, training, start) if column.holds == "categories" else None
        rules.append(rule or _amounts(column, training, start, standardize=wanted.standardize))
    return tuple(rules)


def encode(columns: Sequence[Values], rules: Sequence[Rule], rows: int) -> NDArray[np.float32]:
    """Return the columns side by side (N, F). Raises Refused where they would take too much memory."""
    width = rules[-1].stop
    if (size := _BYTES * rows * width) > MAX_BYTES:
        text = f"The table takes {size:,} bytes as {width:,} numbers a row; at most {MAX_BYTES:,} are held."
        raise Refused(f"{text} Leave out columns with many categories.")
    encoded_NF = np.zeros((rows, width), np.float32)
    for column, rule in zip(columns, rules, strict=True):
        if rule.values:
            _one_hot(column, rule, encoded_NF)
        else:
            known_N = np.where(np.isnan(column.numbers_N), rule.missing, column.numbers_N)
            # An outlier of a column that hardly varies in training would leave float32's range.
            encoded_NF[:, rule.start] = np.clip((known_N - rule.centre) / rule.scale, -_LIMITS.max, _LIMITS.max)
    return encoded_NF


def _problem(column: Values, training: NDArray[np.int64], wanted: Table, place: Callable[[int], str]) -> str | None:
    where = f"{place(column.example[0])}: {column.example[1]!r}" if column.example else ""
    if column.holds == "dates":
        return (
            f"The column {column.name!r} holds dates or times ({where}), which are no amounts: leave it out of "
            "`features`, or write numbers in its place first (days since a start, the month, the hour)."
        )
    if column.holds == "lists":
        text = f"The column {column.name!r} holds lists or bytes ({where}), not one value a row"
        return f"{text}: leave it out of `features`."
    if column.holds == "categories":
        return _too_many(column, training, wanted, where)
    if column.holds == "nothing" or np.isnan(column.numbers_N[training]).all():
        where = "" if column.holds == "nothing" else " in the training part"
        return f"The column {column.name!r} has no value{where}: leave it out of `features`."
    # float32 is what networks take.
    beyond_N = np.abs(column.numbers_N) > _LIMITS.max
    if beyond_N.any():
        return f"The column {column.name!r} has at {place(int(beyond_N.argmax()))} a number beyond what float32 holds."
    return None


def _too_many(column: Values, training: NDArray[np.int64], wanted: Table, where: str) -> str | None:
    distinct = len({column.words[row] for row in training} - {None})
    if not distinct:
        return f"The column {column.name!r} has no value in the training part: leave it out of `features`."
    if distinct <= wanted.max_categories:
        return None
    hint = f" It would be numbers, were it not for {where}." if where else ""
    return (
        f"The column {column.name!r} has {distinct:,} different values in the training part, and up to "
        f"{wanted.max_categories:,} become inputs: leave it out of `features`, or raise `max_categories`.{hint}"
    )


def _categories(column: Values, training: NDArray[np.int64], start: int) -> Rule:
    found = {column.words[row] for row in training}
    values = (*sorted(word for word in found if word is not None), *([None] if None in found else []))
    return Rule(column.name, start, start + len(values), nominal=True, values=values)


def _amounts(column: Values, training: NDArray[np.int64], start: int, *, standardize: bool) -> Rule:
    known = column.numbers_N[training]
    known = known[~np.isnan(known)]
    # Of a column that never changes, its value itself: rounding would leave a trace of a deviation.
    steady = known.min() == known.max()
    mean, deviation = float(known[0] if steady else known.mean()), float(known.std())
    if steady or deviation < _LIMITS.tiny:
        deviation = 1.0
    if column.holds == "booleans" or not standardize:
        return Rule(column.name, start, start + 1, nominal=column.holds == "booleans", missing=mean)
    return Rule(column.name, start, start + 1, nominal=False, missing=mean, centre=mean, scale=deviation)


def _one_hot(column: Values, rule: Rule, into_NF: NDArray[np.float32]) -> None:
    places = {value: place for place, value in enumerate(rule.values, rule.start)}
    place_N = np.array([places.get(word, -1) for word in column.words])
    known_N = np.flatnonzero(place_N >= 0)
    into_NF[known_N, place_N[known_N]] = 1
