"""Transfer sets of tagged words: what they hold, and each way in which they cannot be used."""

from pathlib import Path
from typing import Any

import pytest

from app.contract.inspection import DatasetInspection
from app.contract.job_file import InspectDataset
from app.contract.transfer import Splits, TaggedWords
from tests.engine.test_text_sets import as_csv, as_jsonl, as_parquet, written
from tests.engine.uploads import said
from worker.engine.inspection.datasets import inspect_dataset
from worker.engine.transfer_sets import tagged_words

ROWS = [
    {"tokens": ["Ada", "Lovelace", "wrote"], "tags": ["B-PER", "I-PER", "O"], "split": "train"},
    {"tokens": ["yes"], "tags": None, "split": "train"},
    {"tokens": ["in", "Göttingen"], "tags": ["O", None], "split": "dev"},
    {"tokens": ["Emmy", "🙂"], "tags": ["B-PER", "O"], "split": "test"},
]


def inspect(path: Path, **names: Any) -> DatasetInspection:
    return inspect_dataset(path, InspectDataset(format=TaggedWords(**names), splits=Splits()))


@pytest.mark.parametrize("write", [as_jsonl, as_parquet])
def test_a_set_is_the_same_in_every_kind_of_file(tmp_path: Path, write: Any) -> None:
    path = written(tmp_path / "upload", write(ROWS))
    content = tagged_words.read(path, TaggedWords())
    assert content.samples.lists == [row["tokens"] for row in ROWS]  # type: ignore[attr-defined]
    assert content.labels_N is not None
    assert content.labels_N.tolist() == [0, 1, 2, -1, 2, -1, 0, 2]
    finding = inspect(path)
    assert not finding.problems
    assert (finding.sample_kind, finding.sample_shape, finding.rows) == ("words", (), 4)
    assert (finding.class_names, finding.class_counts) == (["B-PER", "I-PER", "O"], [2, 1, 3])
    assert (finding.labelled, finding.unlabelled) == (3, 1)
    assert finding.splits == {"train": 2, "validation": 1, "test": 1}
    assert finding.word_splits == {"train": 4, "validation": 2, "test": 2}
    assert finding.labelled_word_splits == {"train": 3, "validation": 1, "test": 2}
    assert (finding.to_learn_from("train"), finding.to_learn_from("validation")) == ((3, 1), (1, 1))
    assert finding.lengths is not None
    assert (finding.lengths.words.least, finding.lengths.words.most) == (1, 3)
    assert finding.preview[0] == {"inputs": ROWS[0]["tokens"], "labels": [0, 1, 2]}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ([2, 0, -100], [2, 0, -1]),
        ([2, -1, None], [2, -1, -1]),
        ([2.0, float("nan"), 1], [2, -1, 1]),
        (["b", "a", "b"], [1, 0, 1]),
        (["1", "0", ""], [1, 0, -1]),
    ],
)
def test_tags_as_people_write_them(tmp_path: Path, tags: list[Any], expected: list[int]) -> None:
    path = written(tmp_path / "upload", as_jsonl([{"words": ["x", "y", "z"], "ner_tags": tags}]))
    found = tagged_words.read(path, TaggedWords()).labels_N
    assert found is not None
    assert found.tolist() == expected


def test_tags_may_be_missing_and_names_given(tmp_path: Path) -> None:
    finding = inspect(written(tmp_path / "upload", as_jsonl([{"tokens": ["x", "y"]}, {"tokens": ["z"]}])))
    assert (finding.labels, finding.classes, finding.unlabelled) == (None, None, 2)
    assert finding.word_splits["train"] == 3
    path = written(tmp_path / "named", as_jsonl([{"w": ["x", "y"], "t": [1, 0]}]))
    finding = inspect(path, tokens="w", tags="t", classes=("no", "yes"))
    assert (finding.class_names, finding.class_counts) == (["no", "yes"], [1, 1])


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([{"tokens": ["a", "b"], "tags": [0]}], "'tags' has 1 tags for 2 words at line 1"),
        ([{"tokens": ["a"], "tags": [0]}, {"tokens": ["a"], "tags": []}], "has 0 tags for 1 words at line 3"),
        ([{"tokens": []}, {"tokens": []}], "'tokens' has an empty list at line 1 (1 more rows cannot be used either)"),
        ([{"tokens": None}], "holds nothing where a list of words is expected at line 1"),
        ([{"tokens": "a b"}], "holds str where a list of words is expected"),
        ([{"tokens": ["a", 3]}], "holds int and not a string as word 2 at line 1"),
        ([{"tokens": ["a", None]}], "holds nothing and not a string as word 2"),
        ([{"tokens": [""]}], "has an empty string as word 1"),
        ([{"tokens": ["\ud83d"]}], "Line 1 holds half a character (a lone surrogate)"),
        ([{"tokens": ["a" * 60_000, "b" * 60_000]}], "has words of 120,000 characters together"),
        ([{"tokens": ["a"], "tags": "O"}], "holds str where a list of tags is expected"),
        ([{"tokens": ["a"], "tags": [[0]]}], "holds list where the tag of a word is expected"),
        ([{"tokens": ["a"], "tags": [0]}, {"tokens": ["a", "b"], "tags": [0, -7]}], "at line 3, word 2 the label -7"),
        ([{"tokens": ["a"], "tags": [0], "split": "training camp"}], "the part 'training camp'"),
        ([{"text": "a"}], "no column of word lists"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, rows: list[dict[str, Any]], complaint: str) -> None:
    assert complaint in said(inspect(written(tmp_path / "upload", as_jsonl(rows))))


def test_a_tag_that_is_none_of_the_classes_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "upload", as_jsonl([{"tokens": ["a", "b"], "tags": ["O", "X"]}]))
    assert "at line 1, word 2 the label 'X', which is none" in said(inspect(path, classes=("O", "B-PER")))


def test_csv_has_no_lists(tmp_path: Path) -> None:
    path = written(tmp_path / "upload", as_csv([{"tokens": "a b", "tags": "O O"}]))
    assert "write JSON Lines or Parquet" in said(inspect(path))
