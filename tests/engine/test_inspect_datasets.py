"""Uploaded transfer sets: what they hold, and each way in which they cannot be used."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.contract.transfer import FORMAT, Splits, Tensors
from tests.engine.uploads import dataset, said
from worker.engine.failures import Refused
from worker.engine.files import npz_file

ROWS = np.arange(60, dtype=np.float32).reshape(20, 3)
LABELS = np.array([0, 1, 2, -1] * 5)


def npz(path: Path, **arrays: Any) -> Path:
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def test_what_a_set_holds(tmp_path: Path) -> None:
    finding = dataset(npz(tmp_path / "upload", x=ROWS, y=LABELS), Splits(validation=0.25, test=0.25))
    assert not finding.problems
    assert (finding.format, finding.rows, finding.labelled, finding.unlabelled) == ("npz", 20, 15, 5)
    assert finding.inputs is not None
    assert (finding.inputs.name, finding.inputs.shape, finding.inputs.dtype) == ("x", (20, 3), "float32")
    assert finding.labels is not None
    assert finding.labels.dtype == "int64"
    assert (finding.classes, finding.class_counts) == (3, [5, 5, 5])
    assert finding.splits == {"train": 10, "validation": 5, "test": 5}
    assert sum(finding.labelled_splits.values()) == 15
    assert finding.preview[1] == {"inputs": [3.0, 4.0, 5.0], "label": 1}
    assert len(finding.preview) == 3


def test_safetensors_without_labels(tmp_path: Path) -> None:
    save_file({"inputs": torch.ones(4, 30, dtype=torch.bfloat16)}, tmp_path / "upload")
    finding = dataset(tmp_path / "upload")
    assert not finding.problems
    assert (finding.format, finding.labels, finding.unlabelled, finding.classes) == ("safetensors", None, 4, None)
    assert len(finding.preview[0]["inputs"]) == 16


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.bool_, np.float16, np.float64, np.dtype(">f4"), np.uint16])
def test_numbers_of_every_kind(tmp_path: Path, kind: Any) -> None:
    assert not dataset(npz(tmp_path / "upload", x=(ROWS % 2).astype(kind), y=LABELS.astype(np.int16))).problems


def test_a_given_split_and_names(tmp_path: Path) -> None:
    part = np.array([0] * 10 + [2] * 10, dtype=np.uint8)
    finding = dataset(npz(tmp_path / "upload", a=ROWS, b=LABELS, c=part), inputs="a", labels="b", split="c")
    assert finding.splits == {"train": 10, "validation": 0, "test": 10}


def nan_at(row: int) -> np.ndarray:
    rows = ROWS.copy()
    rows[row, 1] = np.nan
    return rows


@pytest.mark.parametrize(
    ("arrays", "names", "text"),
    [
        ({"x": np.zeros((0, 3))}, {}, "is empty"),
        ({"pixels": ROWS, "y": LABELS}, {}, "the file holds pixels (20, 3), y (20,)"),
        ({"x": ROWS}, {"labels": "target"}, "no array 'target' for the labels; the file holds x (20, 3)"),
        ({"x": ROWS, "y": LABELS[:7]}, {}, "20 rows and the labels 7"),
        ({"x": nan_at(7), "y": LABELS}, {}, "first is row 7"),
        ({"x": np.full((2, 2), 1e300)}, {}, "first is row 0"),
        ({"x": ROWS, "y": LABELS.astype(np.float32)}, {}, "must hold one integer a sample"),
        ({"x": ROWS, "y": LABELS - 1}, {}, "row 3 has -2"),
        ({"x": ROWS, "split": LABELS + 2}, {}, "row 1 has 3"),
        ({"x": ROWS, "split": np.ones(20, int)}, {}, "no sample to train on"),
        ({"x": np.array([["a", "b"]])}, {}, "not numbers"),
        ({"x": ROWS.astype(complex)}, {}, "complex128, not numbers"),
        ({"x": np.array([{}, []], dtype=object)}, {}, "Python objects"),
        ({"x": np.zeros(5)}, {}, "one axis"),
    ],
)
def test_sets_that_cannot_be_used(tmp_path: Path, arrays: dict[str, Any], names: dict[str, str], text: str) -> None:
    finding = dataset(npz(tmp_path / "upload", **arrays), **names)
    assert text in said(finding)
    assert not finding.preview


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"a,b\n1,2\n", "text"),
        (b"", "an empty file"),
        (b"PK\x03\x04", "cut short or damaged"),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "upload.npz").write_bytes(content)
    assert text in said(dataset(tmp_path / "upload.npz"))


def test_an_archive_that_swells_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with path.open("wb") as file:
        np.savez_compressed(file, x=np.zeros((1000, 1000)))
    assert path.stat().st_size < 20_000
    with pytest.raises(Refused, match="at most 1,000,000 are read"):
        npz_file.load(path, npz_file.members(path)["x"], max_bytes=1_000_000)


def test_columns_first_arrays_keep_their_meaning(tmp_path: Path) -> None:
    path = npz(tmp_path / "upload", x=np.asfortranarray(ROWS))
    assert (npz_file.load(path, npz_file.members(path)["x"]) == ROWS).all()
    assert dataset(path).preview[1] == {"inputs": [3.0, 4.0, 5.0]}


def test_an_archive_of_pictures_is_no_set(tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("cat.png", b"")
    (tmp_path / "upload").write_bytes(content.getvalue())
    assert "a ZIP archive of other files" in said(dataset(tmp_path / "upload"))


@pytest.mark.parametrize(("given", "name"), [({}, None), ({"inputs": "a"}, "a"), ({"kind": "tensors"}, None)])
def test_a_format_without_a_kind_means_arrays(given: dict[str, str], name: str | None) -> None:
    assert FORMAT.validate_python(given) == Tensors(inputs=name)
