"""Columns of labels and parts, as people write them, turned into numbers. N = samples, or their words."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from app.contract import inspection
from app.contract.transfer import SPLITS, UNLABELLED
from worker.engine.files.column_file import ColumnFile

_INTEGER = re.compile(r"[+-]?\d{1,18}(\.0+)?")
"""Also `1.0`: what pandas makes of integers beside missing values."""
_PARTS = {word: number for number, part in enumerate(SPLITS) for word in (part, str(number))} | {
    "training": 0,
    "val": 1,
    "valid": 1,
    "dev": 1,
    "testing": 2,
}
MAX_CLASSES = 1_000_000
LONGEST = 200
"""Characters of a class's name, as a spec may give it."""


@dataclass(frozen=True)
class Labels:
    values_N: Tensor
    """int64, -1 = none."""
    dtype: str
    """`int64`, or `string` where the classes have names."""
    class_names: tuple[str, ...] = ()
    problems: list[str] = field(default_factory=list)

    def shown(self, name: str) -> inspection.Tensor:
        """Return them as the file has them, in a column of this name."""
        return inspection.Tensor(name=name, shape=tuple(self.values_N.shape), dtype=self.dtype)


class _Misfit(Exception):
    """Why a value is no label or part; the rest of the sentence `line 5 has ...`."""


def labels_of(file: ColumnFile, name: str, classes: Sequence[str] | None) -> Labels:
    """Return the labels of a column; strings are numbered in the order of `classes`, by default sorted."""
    return numbered(file.columns[name], name, file.place, classes)


def numbered(values: Sequence[Any], name: str, place: Callable[[int], str], classes: Sequence[str] | None) -> Labels:
    """Return labels as `labels_of`; `place` says where the value of some number stands."""
    odd = next(((row, reason) for row, value in enumerate(values) if (reason := _odd(value))), None)
    if odd:
        problem = f"The column {name!r} has at {place(odd[0])} {odd[1]}."
        return Labels(torch.full((len(values),), UNLABELLED), "int64", problems=[problem])
    words = [None if _is_none(value) else _word(value) for value in values]
    known = {word for word in words if word is not None}
    if classes is None and all(_INTEGER.fullmatch(word) for word in known):
        values_N, problems = _numbers(place, name, words, _class_number)
        return Labels(values_N, "int64", problems=problems)
    names = tuple(classes or sorted(known))
    numbers = {class_name: number for number, class_name in enumerate(names)}

    def number_of(word: str) -> int:
        if word in numbers:
            return numbers[word]
        if _INTEGER.fullmatch(word) and 0 <= int(float(word)) < len(names):
            return int(float(word))
        raise _Misfit(f"the label {word[:100]!r}, which is none of the classes given")

    values_N, problems = _numbers(place, name, words, number_of)
    return Labels(values_N, "string", names, problems)


def parts_of(file: ColumnFile, name: str) -> tuple[Tensor | None, list[str]]:
    """Return each sample's part (0 train, 1 validation, 2 test), and what is wrong with the column."""
    words = [_word(value) for value in file.columns[name]]
    part_N, problems = _numbers(file.place, name, words, _part_number)
    if not problems and len(part_N) and not (part_N == 0).any():
        problems = [f"The split {name!r} leaves no sample to train on."]
    return part_N, problems


def _numbers(
    place: Callable[[int], str], name: str, words: Sequence[str | None], number_of: Callable[[str], int]
) -> tuple[Tensor, list[str]]:
    values_N = torch.full((len(words),), UNLABELLED)
    cache: dict[str, int] = {}
    for row, word in enumerate(words):
        if word is None:
            continue
        try:
            if word not in cache:
                cache[word] = number_of(word)
        except _Misfit as misfit:
            return values_N, [f"The column {name!r} has at {place(row)} {misfit}."]
        values_N[row] = cache[word]
    return values_N, []


def _odd(value: Any) -> str | None:
    """Return why a value is no label, whatever the others are."""
    if isinstance(value, list | dict | bytes):
        return f"a {type(value).__name__}, and labels are names or numbers"
    if isinstance(value, float) and math.isinf(value):
        return f"the label {value}, and labels are finite"
    if isinstance(value, str) and len(value) > LONGEST and len(_word(value)) > LONGEST:
        return f"a label of {len(value):,} characters, and names of classes have at most {LONGEST}"
    if isinstance(value, int) and abs(value) >= 10**18:
        return "a label of more than 18 digits"
    return None


def _is_none(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() in {"", "-1", "-1.0"}
    return value is None or value == UNLABELLED or value != value  # noqa: PLR0124 - NaN: what pandas writes for none


def _word(value: Any) -> str:
    return str(value).strip()


def _class_number(word: str) -> int:
    number = int(float(word)) if "." in word else int(word)
    if number < UNLABELLED:
        raise _Misfit(f"the label {number}, and labels go from 0 (-1: none)")
    if number >= MAX_CLASSES:
        raise _Misfit(f"the label {number:,}, and there are at most {MAX_CLASSES:,} classes")
    return number


def _part_number(word: str) -> int:
    lowered = word.lower().removesuffix(".0")
    if lowered not in _PARTS:
        raise _Misfit(f"the part {word[:100]!r}, and parts are train, validation and test, or 0, 1 and 2")
    return _PARTS[lowered]
