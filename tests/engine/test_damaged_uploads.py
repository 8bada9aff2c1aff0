"""Uploads with a few wrong bytes: read or refused with a sentence, and never anything else."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyarrow import parquet
from safetensors.torch import save_file

from app.contract.job_file import InspectDataset
from app.contract.transfer import Format, Images, Splits, Table, Tensors
from tests.engine.pictures import picture, tarred, zipped
from worker.engine.inspection.datasets import inspect_dataset

PICTURES = {f"a/{number}": picture(number, (9, 7), form=form) for number, form in enumerate(("PNG", "JPEG", "GIF"))}
ARRAYS = {"x": np.ones((9, 3)), "y": np.arange(9)}
COLUMNS = {"a": [1.5, None, 3.0] * 5, "b": ["x", "y", None] * 5, "label": ["p", "q", "p"] * 5}


def arrays(path: Path, save: Callable[..., None]) -> None:
    with path.open("wb") as file:
        save(file, **ARRAYS)


WRITERS: dict[str, tuple[Format, Callable[[Path], Any]]] = {
    "zip": (Images(), lambda path: zipped(path, PICTURES)),
    "deflated": (Images(), lambda path: zipped(path, PICTURES, zipfile.ZIP_DEFLATED)),
    "tar": (Images(), lambda path: tarred(path, PICTURES)),
    "tar.gz": (Images(), lambda path: tarred(path, PICTURES, "w:gz")),
    "column": (Images(), lambda path: parquet.write_table(pa.table({"image": list(PICTURES.values())}), path)),
    "table": (Table(), lambda path: parquet.write_table(pa.table(COLUMNS), path)),
    "csv": (Table(), lambda path: path.write_text("a,b,label\n" + "1,x,p\n2.5,,q\n,y,\n" * 4)),
    "npz": (Tensors(), lambda path: arrays(path, np.savez)),
    "packed npz": (Tensors(), lambda path: arrays(path, np.savez_compressed)),
    "safetensors": (
        Tensors(),
        lambda path: save_file({name: torch.from_numpy(array) for name, array in ARRAYS.items()}, path),
    ),
}


@pytest.mark.parametrize(("form", "write"), WRITERS.values(), ids=WRITERS)
def test_a_few_wrong_bytes(tmp_path: Path, form: Format, write: Callable[[Path], Any]) -> None:
    write(tmp_path / "whole")
    whole, draw = np.fromfile(tmp_path / "whole", np.uint8), np.random.RandomState(0)
    subject = InspectDataset(format=form, splits=Splits())  # type: ignore[arg-type]  # one of the union
    assert not inspect_dataset(tmp_path / "whole", subject).problems
    for attempt in range(60):
        content = whole.copy()
        content[draw.randint(len(whole), size=1 + attempt % 3)] = draw.randint(256)
        (tmp_path / "upload").write_bytes(content[: draw.randint(1, len(whole))] if attempt % 5 == 0 else content)
        finding = inspect_dataset(tmp_path / "upload", subject)
        assert all(len(problem.detail) > 20 for problem in finding.problems)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_a_few_wrong_bytes_of_a_picture(tmp_path: Path, form: str) -> None:
    whole, draw = np.frombuffer(picture(1, (9, 7), form=form), np.uint8), np.random.RandomState(0)
    subject, refused = InspectDataset(format=Images(), splits=Splits()), 0
    for attempt in range(150):
        content = whole.copy()
        content[draw.randint(len(whole), size=1 + attempt % 3)] = draw.randint(256)
        # The archive's own checksum is right: what is damaged is the picture.
        zipped(tmp_path / "upload", {"a/1": content.tobytes()})
        refused += bool(inspect_dataset(tmp_path / "upload", subject).problems)
    assert refused
