"""Some of tests/hostile the whole way, from a client's upload to the rejection; the service lives on as before."""

import re
from pathlib import Path
from typing import Any

import pytest

from app.contract.job_file import InspectModel
from stillhouse import DatasetRejected, ModelRejected, Stillhouse
from stillhouse.embedded import EmbeddedStack
from tests.hostile import archives, arrays, onnx_files, parquet_files, pickles, safetensors_files, state_dicts
from tests.hostile.case import MLP, Case, marker
from tests.worker.workers import children

pytestmark = pytest.mark.xdist_group("stack")
CHOSEN = [
    (pickles, "pickle: REDUCE of os.mkdir"),
    (state_dicts, "pickle: a bytearray of 1 TB"),
    (safetensors_files, "safetensors: a shape of 100,000 axes"),
    (arrays, "npz: Python objects"),
    (archives, "tar: a class that is no UTF-8"),
    (parquet_files, "Parquet: a duration without end"),
    (onnx_files, "ONNX: 40 GB out of 92 bytes"),
]
GROWTH = 64 * 2**20


def case(group: Any, name: str) -> Case:
    return next(case for case in group.CASES if case.name == name)


def upload(client: Stillhouse, path: Path, wanted: Case) -> None:
    if isinstance(wanted.subject, InspectModel):
        client.models.create(path, architecture=wanted.subject.architecture.model_dump(mode="json"))
    else:
        client.datasets.create(path, format=wanted.subject.format.model_dump(mode="json", exclude_none=True))


def resident(stack: EmbeddedStack) -> int:
    """Return the bytes of memory of the worker and what it keeps running."""
    [worker] = [child.process.pid for child in stack._children if child.name == "worker-1"]
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in (worker, *children(worker))]
    return sum(pages) * 4096


def test_the_service_lives_through_them(stack: EmbeddedStack, tmp_path: Path) -> None:
    with Stillhouse(stack.url) as client:
        safetensors_files.weights()(tmp_path / "good")
        client.models.create(tmp_path / "good", architecture=MLP.model_dump(mode="json"))
        before = resident(stack)
        for number, (group, name) in enumerate(CHOSEN):
            path, wanted = tmp_path / f"upload-{number}", case(group, name)
            wanted.write(path)
            with pytest.raises((ModelRejected, DatasetRejected)) as refusal:
                upload(client, path, wanted)
            assert re.search(wanted.said, str(refusal.value)), str(refusal.value)
            assert "Traceback" not in str(refusal.value)
            assert not marker(path).exists()
        stack.check()
        assert resident(stack) < before + GROWTH
        assert not list((stack.folder / "inspections").iterdir())
        assert client.models.create(tmp_path / "good", architecture=MLP.model_dump(mode="json")).state == "ready"
