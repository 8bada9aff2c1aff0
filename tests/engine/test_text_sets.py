"""Transfer sets of text: what they hold in each kind of file, and each way in which they cannot be used."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from app.contract.inspection import DatasetInspection
from app.contract.job_file import InspectDataset
from app.contract.transfer import Splits, Text
from tests.engine.uploads import said
from worker.engine.failures import Refused
from worker.engine.files import column_file
from worker.engine.inspection.datasets import inspect_dataset
from worker.engine.transfer_sets import text

ROWS = [
    {"text": 'Schön, "very" good\nindeed', "label": "good", "split": "train"},
    {"text": "bad, bad", "label": "bad", "split": "train"},
    {"text": "who knows", "label": None, "split": "dev"},
    {"text": "good enough 🙂", "label": "good", "split": "test"},
]


def inspect(path: Path, **names: Any) -> DatasetInspection:
    return inspect_dataset(path, InspectDataset(format=Text(**names), splits=Splits()))


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    def cell(value: Any) -> str:
        return "" if value is None else '"' + str(value).replace('"', '""') + '"'

    lines = [list(rows[0]), *([cell(value) for value in row.values()] for row in rows)]
    return "\r\n".join(delimiter.join(line) for line in lines) + "\r\n"


def as_jsonl(rows: list[dict[str, Any]]) -> str:
    return "\n\n".join(json.dumps(row) for row in rows)


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


FILES = {
    "csv": as_csv(ROWS),
    "tabs": as_csv(ROWS, "\t"),
    "bom": "\ufeff" + as_csv(ROWS, ";"),
    "jsonl": as_jsonl(ROWS),
    "parquet": as_parquet(ROWS),
}


@pytest.mark.parametrize("name", FILES)
def test_a_set_is_the_same_in_every_kind_of_file(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "upload.zip", FILES[name])
    content = text.read(path, Text())
    assert content.samples.texts == [row["text"] for row in ROWS]  # type: ignore[attr-defined]
    assert content.labels_N is not None
    assert content.labels_N.tolist() == [1, 0, -1, 1]
    finding = inspect(path)
    assert not finding.problems
    assert finding.format == (name if name in {"jsonl", "parquet"} else "csv")
    assert (finding.sample_kind, finding.sample_shape, finding.rows) == ("text", (), 4)
    assert (finding.classes, finding.class_names, finding.class_counts) == (2, ["bad", "good"], [1, 2])
    assert finding.splits == {"train": 2, "validation": 1, "test": 1}
    assert finding.labelled_splits == {"train": 2, "validation": 0, "test": 1}
    assert finding.preview[0] == {"inputs": ROWS[0]["text"], "label": 1}
    assert finding.lengths is not None
    assert (finding.lengths.words.least, finding.lengths.words.most) == (2, 4)
    assert finding.lengths.characters.most == len(ROWS[0]["text"])


def test_names_and_the_order_of_classes_can_be_given(tmp_path: Path) -> None:
    rows = [{"review": row["text"], "stars": row["label"]} for row in ROWS]
    path = written(tmp_path / "upload", as_jsonl(rows))
    finding = inspect(path, text="review", label="stars", classes=("good", "bad", "unseen"))
    assert (finding.classes, finding.class_names, finding.class_counts) == (3, ["good", "bad", "unseen"], [2, 1])
    assert finding.inputs is not None
    assert finding.inputs.name == "review"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 2, None, -1], [0, 2, -1, -1]),
        (["0", "2.0", "", "-1"], [0, 2, -1, -1]),
        ([0.0, 2.0, float("nan"), 1.0], [0, 2, -1, 1]),
        (["b", "a", " b ", None], [1, 0, 1, -1]),
        ([True, False, None, True], [1, 0, -1, 1]),
        ([None, None, None, None], [-1, -1, -1, -1]),
    ],
)
@pytest.mark.parametrize("write", [as_jsonl, as_parquet])
def test_labels_as_people_write_them(tmp_path: Path, write: Any, labels: list[Any], expected: list[int]) -> None:
    path = written(tmp_path / "upload", write([{"text": "x", "label": label} for label in labels]))
    found = text.read(path, Text()).labels_N
    assert found is not None
    assert found.tolist() == expected


def test_labels_may_be_missing(tmp_path: Path) -> None:
    finding = inspect(written(tmp_path / "upload", "text\none\ntwo\n"))
    assert not finding.problems
    assert (finding.labels, finding.unlabelled, finding.classes) == (None, 2, None)


def test_names_of_classes_may_come_with_numbers(tmp_path: Path) -> None:
    path = written(tmp_path / "upload", "text,label\na,1\nb,0\n")
    content = text.read(path, Text(classes=("no", "yes")))
    assert content.labels_N is not None
    assert content.labels_N.tolist() == [1, 0]
    assert content.class_names == ("no", "yes")


@pytest.mark.parametrize(
    ("content", "names", "said_so"),
    [
        ("txt,label\na,1\n", {}, "no column of texts (text or sentence, or the name given); the file has txt, label"),
        ("text,y\na,1\n", {"label": "target"}, "no column 'target' for the labels; the file has text, y"),
        ("text,label\na,1,2\n", {}, "Line 2 has 3 cells, and the header names 2 columns"),
        ('text,label\n"a\nb",1\n,1\n', {}, "'text' has no text at line 4"),
        ("text,label\na,1\n  ,1\n\t,0\n", {}, "white space at line 3 (1 more rows"),
        ("text,text\na,1\n", {}, "names the column 'text' twice"),
        ("text,,label\na,1,1\n", {}, "one of them has no name"),
        ("text\n", {}, "no rows"),
        ('text\n"a\n', {}, "not valid CSV"),
        (b"text\ngr\xfcn\n", {}, "Line 2 is not UTF-8 text: byte 3 of it is 0xfc"),
        ("text\na\n".encode("utf-16"), {}, "UTF-16 text"),
        ("text,label\na,0\nb,-2\n", {}, "at line 3 the label -2"),
        ("text,label\na,good\nb,so-so\n", {"classes": ["good", "bad"]}, "line 3 the label 'so-so', which is none of"),
        ("text,label\na,2\n", {"classes": ["good", "bad"]}, "line 2 the label '2', which is none of"),
        ("text,label\na,10000000\n", {}, "at most 1,000,000 classes"),
        ("text,split\na,training\nb,later\n", {}, "line 3 the part 'later'"),
        ("text,split\na,test\n", {}, "no sample to train on"),
        ('{"text": "a"}\n{"text": 3}\n', {}, "holds int where a text is expected at line 2"),
        ('{"text": "a"}\n{"text"\n', {}, "Line 2 is not valid JSON"),
        ('{"text": "a"}\n[1]\n', {}, "Line 2 is not a JSON object"),
        ('{"text": "\\ud800"}\n', {}, "lone surrogate"),
        ('[{"text": "a"}]', {}, "write JSON Lines instead"),
        ('{"text": "a", "x": ' + "[" * 100_000, {}, "Line 1 is not valid JSON"),
        ("text\n" + "a" * 100_001 + "\n", {}, "100,001 characters"),
        (b"\x89PNG\r\n", {}, "a PNG image"),
        (b"PAR1" + b"\0" * 40, {}, "damaged"),
        (as_parquet([{"text": "a"}, {"text": None}]), {}, "has no text at row 1"),
    ],
)
def test_sets_that_cannot_be_used(tmp_path: Path, content: str | bytes, names: dict[str, Any], said_so: str) -> None:
    finding = inspect(written(tmp_path / "upload", content), **names)
    assert said_so in said(finding)
    assert not finding.preview


def test_parquet_that_swells_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = written(tmp_path / "upload", as_parquet([{"text": "a" * 1000}] * 20_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(Refused, match="more than 5,000,000 bytes when decompressed"):
        column_file.read(path, max_bytes=5_000_000)


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_the_limits_on_rows_and_bytes(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / "upload", FILES[name])
    with pytest.raises(Refused, match="rows"):
        column_file.read(path, max_rows=3)
    with pytest.raises(Refused, match="bytes"):
        column_file.read(path, max_bytes=50)


def test_many_columns_in_few_bytes_are_not_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_file, "_MAX_CELLS", 1000)
    names = json.dumps(dict.fromkeys(map(str, range(100))))
    with pytest.raises(Refused, match=r"1,000 cells \(100 columns\)"):
        column_file.read(written(tmp_path / "upload", names + "\n" + "{}\n" * 50))


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="must differ"):
        Text(classes=("a", "a"))
