"""Lists of words, and of their tags, in a JSON Lines or Parquet file. N = samples, A = words."""

from itertools import chain
from pathlib import Path
from typing import Any

import torch

from app.contract import inspection
from app.contract.transfer import TaggedWords
from worker.engine.data.content import Content
from worker.engine.data.labels import Labels, numbered, parts_of
from worker.engine.data.samples import WordSamples
from worker.engine.data.written_words import MAX_CHARACTERS, lengths_of
from worker.engine.failures import Refused
from worker.engine.files import column_file
from worker.engine.files.column_file import ColumnFile

_TOKENS = ("tokens", "words")
_TAGS = ("tags", "ner_tags", "pos_tags", "labels")
_SPLIT = ("split",)
_IGNORED = -100
"""What torch's cross-entropy, and so everybody's data, passes over."""


def read(path: Path, wanted: TaggedWords) -> Content:
    """Read and check a file. Raises Refused where there is not even a column of word lists to look at."""
    file = column_file.read(path)
    if file.format == "csv":
        raise Refused("A CSV file holds strings, not lists of words: write JSON Lines or Parquet.")
    name = file.named(wanted.tokens, _TOKENS, "tokens")
    if name is None:
        raise Refused(
            f"There is no column of word lists (tokens or words, or the name given); the file has {file.listed()}."
        )
    lists, problems = file.usable(name, _unusable)
    tags_name = file.named(wanted.tags, _TAGS, "tags")
    tags = _tags(file, tags_name, lists, wanted.classes) if tags_name and not problems else None
    split_name = file.named(wanted.split, _SPLIT, "split")
    split_N, split_problems = parts_of(file, split_name) if split_name else (None, [])
    return Content(
        file.format,
        samples=WordSamples(lists),
        inputs=inspection.Tensor(name=name, shape=(len(lists),), dtype="list of strings"),
        labels_N=tags.values_N if tags else None,
        labels=tags.shown(tags_name) if tags_name and tags else None,
        split_N=split_N,
        class_names=tags.class_names if tags else wanted.classes or (),
        problems=[*problems, *(tags.problems if tags else []), *split_problems],
        about={"lengths": lengths_of([" ".join(words) for words in lists], [*map(len, lists)])} if not problems else {},
    )


def _unusable(value: Any) -> str | None:
    if not isinstance(value, list):
        return f"holds {_kind(value)} where a list of words is expected"
    if not value:
        return "has an empty list"
    for place, word in enumerate(value, start=1):
        if reason := _unusable_word(word):
            return f"{reason} as word {place}"
    if (size := sum(map(len, value))) > MAX_CHARACTERS:
        return f"has words of {size:,} characters together (at most {MAX_CHARACTERS:,} are read)"
    return None


def _unusable_word(word: Any) -> str | None:
    if not isinstance(word, str):
        return f"holds {_kind(word)} and not a string"
    return None if word else "has an empty string"


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"{type(value).__name__}"


def _tags(file: ColumnFile, name: str, lists: list[list[str]], classes: tuple[str, ...] | None) -> Labels:
    """Return the tags (A,) of all words; a sentence without any has none for each word."""
    values = file.columns[name]
    pairs = list(enumerate(zip(values, lists, strict=True)))
    wrong = [(row, reason) for row, (tags, words) in pairs if (reason := _misfit(tags, len(words)))]
    if wrong:
        return Labels(torch.empty(0, dtype=torch.int64), "int64", problems=[file.complaint(name, wrong)])
    whole = (tags or [None] * len(words) for tags, words in zip(values, lists, strict=True))
    flat = [None if tag == _IGNORED else tag for tag in chain.from_iterable(whole)]
    ends = torch.tensor([*map(len, lists)]).cumsum(0)

    def place(number: int) -> str:
        row = int(torch.searchsorted(ends, number, right=True))
        return f"{file.place(row)}, word {number - int(ends[row]) + len(lists[row]) + 1}"

    return numbered(flat, name, place, classes)


def _misfit(tags: Any, words: int) -> str | None:
    if tags is None:
        return None
    if not isinstance(tags, list):
        return f"holds {_kind(tags)} where a list of tags is expected"
    if len(tags) != words:
        return f"has {len(tags):,} tags for {words:,} words"
    strange = next((tag for tag in tags if tag is not None and not isinstance(tag, str | int | float)), None)
    return None if strange is None else f"holds {_kind(strange)} where the tag of a word is expected"
