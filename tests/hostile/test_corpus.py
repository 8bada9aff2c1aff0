"""Each file of the corpus gets its sentence, within bounds of memory and time, and nothing runs or stays behind."""

import re
from importlib import import_module
from pathlib import Path

import pytest

from app.contract.job_file import EXIT_DONE
from tests.hostile.case import Case, marker
from tests.hostile.inspections import MOST, SECONDS, inspect

GROUPS = (
    "pickles", "state_dicts", "safetensors_files", "arrays", "texts", "archives", "pictures", "parquet_files",
    "onnx_files", "hub_folders", "graphs",
)  # fmt: skip
CASES: list[Case] = [case for group in GROUPS for case in import_module(f"tests.hostile.{group}").CASES]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_hostile_upload(tmp_path: Path, case: Case) -> None:
    folder = tmp_path / "job"
    upload = folder / "inputs" / "upload"
    upload.parent.mkdir(parents=True)
    case.write(upload)
    assert not marker(upload).exists()
    left = inspect(folder, case.subject)
    assert left.code == EXIT_DONE, left.log
    assert "Traceback" not in left.log
    if case.said:
        assert re.search(case.said, left.said, re.DOTALL), left.said
    else:
        assert left.said == ""
    assert left.seconds < SECONDS
    assert left.grown < MOST or "needs more memory" in left.said
    converted = {"weights.safetensors"} if not case.said else set()
    assert {path.name for path in (folder / "out").iterdir()} <= {"inspection.json", "resolved.json"} | converted
    assert {path.name for path in folder.iterdir()} <= {"job.json", "inputs", "out", "tmp", "log.txt"}
    assert [path.name for path in upload.parent.iterdir()] == ["upload"]
    assert {path.name for path in tmp_path.iterdir()} <= {"job", "used"}


def test_the_corpus_is_large_and_small() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)
