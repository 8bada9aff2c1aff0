"""Transfer sets of tables: how columns become numbers, and each way in which they cannot be used."""

import datetime as dt
import json
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import ValidationError

from app.contract.inspection import DatasetInspection
from app.contract.job_file import InspectDataset
from app.contract.transfer import Splits, Table
from tests.engine.uploads import said
from worker.engine.data.content import Content
from worker.engine.data.table_samples import TableSamples
from worker.engine.inspection.datasets import inspect_dataset
from worker.engine.transfer_sets import table

HALVES = Splits(validation=0, test=0)
CSV = """age,income,member,town,species,split
10,1000,true,Bern,cat,train
20,,false,Thun,dog,train
30,3000,,,cat,train
,5000,true,Bern,dog,train
99,9999,true,Genf,,test
"""


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def inspect(path: Path, splits: Splits = HALVES, **wanted: Any) -> DatasetInspection:
    return inspect_dataset(path, InspectDataset(format=Table(**wanted), splits=splits))


def read(path: Path, splits: Splits = HALVES, **wanted: Any) -> Content:
    content = table.read(path, Table(**wanted), splits)
    assert not content.problems
    return content


def values(content: Content) -> np.ndarray:
    assert isinstance(content.samples, TableSamples)
    return content.samples.values.numpy()


def test_columns_become_numbers_by_the_training_part(tmp_path: Path) -> None:
    found = values(read(written(tmp_path / "upload", CSV), label="species"))
    ages = np.array([10, 20, 30, 20, 99])
    incomes = np.array([1000, 3000, 3000, 5000, 9999])
    expected = [
        (ages - 20) / np.std([10, 20, 30]),
        (incomes - 3000) / np.std([1000, 3000, 5000]),
        [1, 0, 2 / 3, 1, 1],
        [1, 0, 0, 1, 0],  # Bern
        [0, 1, 0, 0, 0],  # Thun; Genf is not in the training part
        [0, 0, 1, 0, 0],  # missing
    ]
    np.testing.assert_allclose(found, np.array(expected).T, rtol=1e-6)
    assert found.dtype == np.float32


def test_what_a_table_holds(tmp_path: Path) -> None:
    finding = inspect(written(tmp_path / "upload", CSV), label="species", features=("town", "age", "member"))
    assert not finding.problems
    assert (finding.format, finding.rows, finding.sample_kind, finding.sample_shape) == ("csv", 5, "array", (5,))
    assert (finding.class_names, finding.classes, finding.class_counts) == (["cat", "dog"], 2, [2, 2])
    assert (finding.labelled, finding.unlabelled) == (4, 1)
    assert finding.splits == {"train": 4, "validation": 0, "test": 1}
    age, income, member, town, species, split = finding.columns
    assert (age.role, age.holds, age.missing, age.distinct, age.least, age.most) == ("feature", "numbers", 1, 4, 10, 99)
    assert (age.inputs, member.inputs, town.inputs, income.inputs) == (1, 1, 3, 0)
    assert (income.role, member.holds, town.values) == ("unused", "booleans", ["Bern", "Thun", "Genf"])
    assert (species.role, split.role, species.missing) == ("label", "split", 1)
    assert finding.preview[2] == {"inputs": {"town": None, "age": "30", "member": None}, "label": 0}


def test_numbers_may_stay_as_they_are(tmp_path: Path) -> None:
    found = values(read(written(tmp_path / "upload", CSV), standardize=False, features=("income", "age")))
    assert found.tolist() == [[1000, 10], [3000, 20], [3000, 30], [5000, 20], [9999, 99]]


def test_numbers_may_be_names(tmp_path: Path) -> None:
    content = read(written(tmp_path / "upload", "code,y\n7,a\n7.0,b\n12,a\n"), label="y", categories=("code",))
    assert values(content).tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert isinstance(content.samples, TableSamples)
    assert [(held.start, held.stop, held.nominal) for held in content.samples.attributes] == [(0, 3, True)]


def test_a_column_that_never_changes_is_zero(tmp_path: Path) -> None:
    assert values(read(written(tmp_path / "upload", "a,b\n0.1,1\n0.1,2\n0.1,3\n")))[:, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("names", "label"),
    [(["label", "x"], "label"), (["x", "target"], "target"), (["class", "x"], "class"), (["a", "x"], None)],
)
def test_the_usual_names_of_labels(tmp_path: Path, names: list[str], label: str | None) -> None:
    finding = inspect(written(tmp_path / "upload", f"{','.join(names)}\n1,0\n0,1\n"))
    assert (finding.labels.name if finding.labels else None) == label
    assert finding.inputs is not None
    assert finding.inputs.shape == (2, 1 if label else 2)


@pytest.mark.parametrize(
    ("words", "numbers", "classes"),
    [
        (["b", "a", "", "b"], [1, 0, -1, 1], ("a", "b")),
        (["2", "0", "-1", "1"], [2, 0, -1, 1], ()),
        (["2.0", "0.0", "", "1.0"], [2, 0, -1, 1], ()),
        (["True", "False", "", "True"], [1, 0, -1, 1], ("False", "True")),
    ],
)
def test_labels(tmp_path: Path, words: list[str], numbers: list[int], classes: tuple[str, ...]) -> None:
    lines = "".join(f"{number},{word}\n" for number, word in enumerate(words))
    content = read(written(tmp_path / "upload", f"x,label\n{lines}"))
    assert content.labels_N is not None
    assert content.labels_N.tolist() == numbers
    assert content.class_names == classes


def test_labels_numbered_from_one_take_names(tmp_path: Path) -> None:
    content = read(written(tmp_path / "upload", "x,label\n1,1\n2,3\n3,2\n"), classes=("1", "2", "3"))
    assert content.labels_N is not None
    assert content.labels_N.tolist() == [0, 2, 1]


def test_json_lines_and_parquet_are_read_alike(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"a": 1, "b": True, "c": "x", "label": "p"},
        {"a": 2.5, "b": None, "c": None, "label": "q"},
        {"a": None, "b": False, "c": "y", "label": "p"},
    ]
    written(tmp_path / "lines", "\n".join(map(json.dumps, rows)))
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "parquet")
    written(tmp_path / "csv", "a;b;c;label\n1;true;x;p\n2.5;;;q\n;false;y;p\n")
    lines, columns, csv = (read(tmp_path / name) for name in ("lines", "parquet", "csv"))
    assert (values(lines) == values(columns)).all()
    assert (values(lines) == values(csv)).all()
    assert values(lines).shape == (3, 5)


def test_arrow_categories_and_decimals(tmp_path: Path) -> None:
    columns = {
        "a": pa.array(["x", "y", "x"]).dictionary_encode(),
        "b": pa.array([Decimal("1.50"), Decimal(2), None]),
        "c": pa.array([1, 2, 3], pa.uint8()),
    }
    parquet.write_table(pa.table(columns), tmp_path / "upload")
    assert [column.holds for column in inspect(tmp_path / "upload").columns] == ["categories", "numbers", "numbers"]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("a,b\n1,2\n", {"label": "y"}, "There is no column 'y' for the labels; the file has a, b."),
    ("a,b\n1,2\n", {"features": ("a", "z")}, "There is no column 'z' for the features; the file has a, b."),
    ("a,b\n1,2\n", {"categories": ("z",)}, "There is no column 'z'"),
    ("label\n1\n", {}, "no column of features beside label and split"),
    ("a,label\n", {}, "no rows"),
    ("a,b\n,1\nNA,2\n", {}, "The column 'a' has no value: leave it out of `features`."),
    ("a,b,split\n,1,train\n3,1,test\n", {}, "The column 'a' has no value in the training part"),
    ("a,b,split\n,1,train\nx,1,test\n", {}, "The column 'a' has no value in the training part"),
    ("a,label\n1,0.5\n2,1\n", {}, "The column 'label' has at line 2 0.5, and labels are names or whole numbers"),
    ("a,label\n1,x\n2,-3\n", {"classes": ("x", "y")}, "'label' has at line 3 the label '-3'"),
    ("a,label\n1,0\n2,-3\n", {}, "the label -3, and labels go from 0"),
    ("a,when\n1,2024-01-31\n2,2024-02-01 10:30\n", {}, "'when' holds dates or times (line 2: '2024-01-31')"),
    ("a,when\n1,31.12.2024\n2,\n", {}, "'when' holds dates or times"),
    ("a,b\n1,2\n3\n", {}, "Line 3 has 1 cells, and the header names 2 columns."),
    ("a,b\n1,inf\n2,1\n", {}, "The column 'b' has at line 2 a number beyond what float32 holds."),
    ("a,b\n1,1e300\n2,1\n", {}, "The column 'b' has at line 2 a number beyond what float32 holds."),
    ("a,split\n1,train\n2,later\n", {}, "the part 'later'"),
    ("a,b\n" + "".join(f"x{n},1\n" for n in range(101)), {}, "'a' has 101 different values in the training part"),
    (
        "a,b\n" + "".join(f"{n},1\n" for n in range(150)) + "n/k,1\n",
        {},
        "It would be numbers, were it not for line 152: 'n/k'.",
    ),
    ("a,label\n" + "".join(f"1,name{n}\n" for n in range(1001)), {}, "'label' has 1,001 different values"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "wanted", "text"), REFUSED, ids=[text[:40] for _, _, text in REFUSED])
def test_tables_that_cannot_be_used(tmp_path: Path, content: str, wanted: dict[str, Any], text: str) -> None:
    finding = inspect(written(tmp_path / "upload", content), **wanted)
    assert text in said(finding)
    assert not finding.preview


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    finding = inspect(written(tmp_path / "upload", "a,b\n1,Zürich\n".encode("latin-1")))
    assert "Line 2 is not UTF-8 text: byte 4" in said(finding)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ([dt.date(2024, 1, 31)] * 2, "holds dates or times (row 0: '2024-01-31')"),
        ([dt.datetime(2024, 1, 31, tzinfo=dt.UTC)] * 2, "holds dates or times"),
        ([[1, 2], [3]], "holds lists or bytes (row 0: '[1, 2]')"),
        ([b"a", None], "holds lists or bytes"),
    ],
)
def test_columns_of_other_things(tmp_path: Path, column: list[Any], text: str) -> None:
    parquet.write_table(pa.table({"a": column, "b": [1, 2]}), tmp_path / "upload")
    finding = inspect(tmp_path / "upload")
    assert text in said(finding)
    assert not inspect(tmp_path / "upload", features=("b",)).problems


def test_a_columns_problem_shows_the_columns_all_the_same(tmp_path: Path) -> None:
    finding = inspect(written(tmp_path / "upload", "a,when\n1,2024-01-31\n"))
    assert [(column.name, column.holds) for column in finding.columns] == [("a", "numbers"), ("when", "dates")]


@pytest.mark.parametrize(
    "wanted",
    [{"features": ("a", "a")}, {"features": ("label",), "label": "label"}, {"features": ()}, {"max_categories": 1}],
)
def test_settings_that_say_nothing(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Table(**wanted)


CELLS = st.one_of(st.none(), st.sampled_from(["a", "b", "ü"]), st.floats(-1e6, 1e6), st.booleans(), st.integers(-9, 9))


@settings(max_examples=60, deadline=None)
@example([(None, 0.0, "p"), ("a", 1.9e-136, "p"), (None, 1.0, "p"), (None, 0.0, "p")], 1)
@example([(None, 0.0, "p"), (None, 2.2e-311, "p"), (None, 0.0, "p"), ("a", 0.0, "p")], 0)
@given(
    st.lists(st.tuples(CELLS, st.floats(-1e3, 1e3), st.sampled_from("pq")), min_size=4, max_size=30), st.integers(0, 9)
)
def test_encoding_is_a_function_of_data_and_split(rows: list[tuple[Any, float, str]], seed: int) -> None:
    lines = [json.dumps({"a": mixed, "b": number, "label": label}) for mixed, number, label in rows]
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder, "upload"), "\n".join(lines))
        splits = Splits(validation=0.25, seed=seed)
        content = table.read(path, Table(), splits)
        if content.problems:
            assert "'a' has no value" in content.problems[0]
            return
        assert torch.equal(
            torch.from_numpy(values(content)), torch.from_numpy(values(table.read(path, Table(), splits)))
        )
        assert np.isfinite(values(content)).all()
        assert values(content).shape == (len(rows), content.inputs.shape[1])
