"""Sets larger than memory: read from their file batch by batch, with the same students at the end."""

import hashlib
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from app.contract.job_file import TransferSetInput
from app.contract.states import FailureCode
from tests.engine.folders import ROOT, blobs, make
from worker.engine.data.samples import ArraySamples
from worker.engine.data.streamed import StreamedSamples
from worker.engine.failures import EngineFailure
from worker.engine.inputs import load_transfer_set

RunHere = Callable[[Path], None]
CPU = torch.device("cpu")
VALUES = torch.arange(24.0).view(4, 3, 2)
ROWS = torch.tensor([3, 0, 3])


def load(folder: Path, resident_bytes: int = 0) -> ArraySamples | StreamedSamples:
    samples = load_transfer_set(folder, TransferSetInput(path="set"), CPU, resident_bytes).samples
    assert isinstance(samples, ArraySamples | StreamedSamples)
    return samples


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8, torch.int64, torch.bool]
)
def test_streamed_rows_are_those_of_the_file(tmp_path: Path, dtype: torch.dtype) -> None:
    values = VALUES.to(dtype)
    save_file({"labels": torch.arange(4), "inputs": values}, tmp_path / "set")
    streamed, resident = load(tmp_path), load(tmp_path, 10**6)
    assert isinstance(streamed, StreamedSamples)
    assert isinstance(resident, ArraySamples)
    assert len(streamed) == 4
    assert streamed.shape == resident.shape == (3, 2)
    assert streamed.bytes == resident.values.nbytes
    assert streamed.preview(1) == resident.preview(1)
    for samples in (streamed, resident):
        torch.testing.assert_close(samples.take(ROWS), values[ROWS].to(torch.float32))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<u2", "|u1"])
def test_streamed_rows_are_those_of_an_npz(tmp_path: Path, dtype: str) -> None:
    values = VALUES.numpy().astype(dtype)
    with (tmp_path / "set").open("wb") as file:
        np.savez(file, y=np.arange(4), x=values)
    samples = load(tmp_path)
    assert isinstance(samples, ArraySamples if dtype.startswith(">") else StreamedSamples)
    assert torch.equal(samples.take(ROWS), VALUES[ROWS])


@pytest.mark.parametrize("save", [np.savez_compressed, lambda file, x: np.savez(file, x=np.asfortranarray(x))])
def test_packed_arrays_and_columns_are_read_whole(tmp_path: Path, save: Callable[..., None]) -> None:
    with (tmp_path / "set").open("wb") as file:
        save(file, x=VALUES.numpy())
    samples = load(tmp_path)
    assert isinstance(samples, ArraySamples)
    assert torch.equal(samples.take(ROWS), VALUES[ROWS])


def student_of(folder: Path, run: RunHere, **job: Any) -> str:
    run(make(folder, spec={"augmentation": [{"kind": "mixup"}]}, **job))
    return hashlib.sha256((folder / "out" / "student.safetensors").read_bytes()).hexdigest()


def test_a_streamed_set_gives_the_same_student(tmp_path: Path, run_here: RunHere) -> None:
    resident = student_of(tmp_path / "resident", run_here)
    assert student_of(tmp_path / "streamed", run_here, resident_bytes=0) == resident


def test_a_file_that_shrinks_meanwhile_fails_the_job(tmp_path: Path, lay_out: Any) -> None:
    bench = lay_out(make(tmp_path, inputs=blobs(120)[0], resident_bytes=0))
    (tmp_path / "inputs" / "transfer_set").write_bytes(b"")
    with pytest.raises(EngineFailure, match="shorter") as failure:
        bench.transfer_set.samples.take(torch.tensor([119]))
    assert failure.value.code is FailureCode.ARTIFACT_CORRUPT


PROGRAM = """
import sys
from pathlib import Path
import torch
from app.contract.job_file import TransferSetInput
from worker.engine.inputs import load_transfer_set

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

def take(samples, rows):
    return float(samples.take(torch.randint(len(samples), (rows,))).sum())

take(load_transfer_set(Path(sys.argv[1]), TransferSetInput(path="small"), torch.device("cpu"), 0).samples, 2)
before = peak()
samples = load_transfer_set(Path(sys.argv[1]), TransferSetInput(path="large"), torch.device("cpu"), 0).samples
assert sum(take(samples, 256) for _ in range(50)) == 0
print(peak() - before)
"""


def hollow(path: Path, rows: int, width: int) -> None:
    """Write a set of zeros that takes no room on disk."""
    size = 4 * rows * width
    header = json.dumps({"inputs": {"dtype": "F32", "shape": [rows, width], "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + size)


def test_memory_stays_bounded(tmp_path: Path) -> None:
    hollow(tmp_path / "small", 4, 2**10)
    hollow(tmp_path / "large", 2**16, 2**10)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    grown = int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert (tmp_path / "large").stat().st_size > 2**28
    assert grown < 2**27
