"""Job directories for the tests, and the engine run on them as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from app.contract.architectures import Architecture, Lstm, Mlp, Resnet
from app.contract.events import ENGINE_EVENT, EngineEvent
from app.contract.job_file import JobFile
from worker.engine import build

ROOT = Path(__file__).parents[2]
MLP = Mlp(inputs=6, hidden=(12,), classes=3)
SMALL_MLP = Mlp(inputs=6, hidden=(4,), classes=3, dropout=0.2)
LSTM = Lstm(inputs=2, hidden=8, layers=2, classes=3)
SMALL_LSTM = Lstm(inputs=2, hidden=4, layers=2, classes=3, dropout=0.3)
RESNET = Resnet(depth=8, widths=(4, 4, 8, 8), channels=1, classes=3)
SMALL_RESNET = Resnet(depth=8, widths=(2, 2, 2, 4), channels=1, classes=3)
_SHAPES = {"lstm": (5, 2), "resnet": (1, 8, 8)}


def blobs(samples: int, shape: tuple[int, ...] = (6,), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs around three centres, and their classes."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, samples)
    centres = draw.normal(size=(3, *shape))
    return (centres[labels] + 0.8 * draw.normal(size=(samples, *shape))).astype(np.float32), labels


def make(
    folder: Path,
    *,
    teacher: Architecture = MLP,
    student: Architecture = SMALL_MLP,
    inputs: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    spec: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    names: dict[str, str] | None = None,
    **job: Any,
) -> Path:
    """Write a job directory: a random teacher, a transfer set, job.json. `names`: the student's key map."""
    found, classes = blobs(120, _SHAPES.get(teacher.kind, (6,)))
    inputs = found if inputs is None else inputs
    labels = classes if labels is None else labels
    (folder / "inputs").mkdir(parents=True)
    torch.manual_seed(7)
    save_file(build.network(teacher).state_dict(), folder / "inputs" / "teacher.safetensors")
    with (folder / "inputs" / "transfer_set").open("wb") as file:
        np.savez(file, inputs=inputs, labels=labels)
    resolved: dict[str, Any] = {
        "teacher": "mdl_" + "0" * 32,
        "transfer_set": "ds_" + "0" * 32,
        "student": {"architecture": student.model_dump()},
        "training": {"epochs": 4, "batch_size": 16, **(training or {})},
        "export": {"plots": False},
        **(spec or {}),
    }
    content = {
        "spec": resolved,
        "teachers": [{"architecture": teacher.model_dump()}],
        "student": {
            "architecture": resolved["student"].get("architecture", student.model_dump()),
            "key_map": names or {},
            "preprocessing": resolved["student"].get("preprocessing"),
        },
        "transfer_set": {},
        **job,
    }
    (folder / "job.json").write_text(json.dumps(content))
    return folder


def read_job(folder: Path) -> JobFile:
    return JobFile.model_validate_json((folder / "job.json").read_bytes())


def start(folder: Path, module: str = "worker.engine") -> subprocess.Popen[bytes]:
    """Start the engine as the worker does, its log in log.txt."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", module, str(folder)]
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log)


def events(folder: Path) -> list[EngineEvent]:
    path = folder / "events.jsonl"
    return [ENGINE_EVENT.validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []


def of_type(folder: Path, kind: str) -> list[Any]:
    return [event for event in events(folder) if event.type == kind]
