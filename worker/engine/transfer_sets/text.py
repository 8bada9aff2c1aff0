"""Texts in a CSV, JSON Lines or Parquet file. N = samples."""

from pathlib import Path
from typing import Any

from app.contract import inspection
from app.contract.transfer import Text
from worker.engine.data.content import Content
from worker.engine.data.labels import labels_of, parts_of
from worker.engine.data.samples import TextSamples
from worker.engine.data.written_words import MAX_CHARACTERS, lengths_of
from worker.engine.failures import Refused
from worker.engine.files import column_file

_TEXT = ("text", "sentence")
_LABEL = ("label", "labels")
_SPLIT = ("split",)


def read(path: Path, wanted: Text) -> Content:
    """Read and check a file. Raises Refused where there is not even a column of texts to look at."""
    file = column_file.read(path)
    name = file.named(wanted.text, _TEXT, "texts")
    if name is None:
        raise Refused(
            f"There is no column of texts (text or sentence, or the name given); the file has {file.listed()}."
        )
    texts, problems = file.usable(name, _unusable)
    labels_name = file.named(wanted.label, _LABEL, "labels")
    labels = labels_of(file, labels_name, wanted.classes) if labels_name else None
    split_name = file.named(wanted.split, _SPLIT, "split")
    split_N, split_problems = parts_of(file, split_name) if split_name else (None, [])
    return Content(
        file.format,
        samples=TextSamples(texts),
        inputs=inspection.Tensor(name=name, shape=(len(texts),), dtype="string"),
        labels_N=labels.values_N if labels else None,
        labels=labels.shown(labels_name) if labels_name and labels else None,
        split_N=split_N,
        class_names=labels.class_names if labels else wanted.classes or (),
        problems=[*problems, *(labels.problems if labels else []), *split_problems],
        about={"lengths": lengths_of(texts, [len(text.split()) for text in texts])} if not problems else {},
    )


def _unusable(value: Any) -> str | None:
    if value is None or value == "":
        return "has no text"
    if not isinstance(value, str):
        return f"holds {type(value).__name__} where a text is expected"
    if len(value) > MAX_CHARACTERS:
        return f"has a text of {len(value):,} characters (at most {MAX_CHARACTERS:,} are read)"
    if not value.strip():
        return "has no text but white space"
    return None
