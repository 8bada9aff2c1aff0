"""Real time series: nine speakers told apart by 12 features of how they say two vowels (Kudo et al. 1999)."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from app.contract.architectures import Lstm
from app.contract.report import Report
from tests.engine.folders import make
from tests.material import wheel
from worker.engine import build

AEON = "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409"
SERIES = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_eq_{}.ts"
TEACHER = Lstm(inputs=12, hidden=64, layers=2, classes=9, bidirectional=True, pooling="mean", dropout=0.3)
STUDENT = Lstm(inputs=12, hidden=16, classes=9, bidirectional=True, pooling="mean")


def vowels(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return series (N, steps, 12) and speakers (N,)."""
    with zipfile.ZipFile(wheel("aeon==1.6.0", AEON)) as package:
        lines = package.read(SERIES.format(part)).decode().splitlines()
    cases = [line.split(":") for line in lines[lines.index("@data") + 1 :]]
    channels = [[channel.split(",") for channel in case[:-1]] for case in cases]
    return np.array(channels, np.float32).transpose(0, 2, 1), np.array([int(case[-1]) - 1 for case in cases])


def trained(inputs: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    network = build.network(TEACHER)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(40):
        for rows in torch.split(torch.randperm(len(inputs)), 32):
            torch.nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
    return network.state_dict()


def test_a_student_of_series_says_what_its_teacher_says(tmp_path: Path, run_here: Callable[[Path], None]) -> None:
    inputs, labels = vowels("TRAIN")
    unseen, truth = vowels("TEST")
    teacher = trained(torch.from_numpy(inputs), torch.from_numpy(labels))
    spec = {"objective": [{"kind": "soft_target"}], "augmentation": [{"kind": "noise", "std": 0.2}], "control": False}
    folder = make(
        tmp_path, teacher=TEACHER, student=STUDENT, training={"epochs": 40, "batch_size": 32}, spec=spec,
    )  # fmt: skip
    save_file(teacher, folder / "inputs" / "teacher.safetensors")
    split = np.repeat([0, 2], [len(inputs), len(unseen)])
    with (folder / "inputs" / "transfer_set").open("wb") as file:
        np.savez(file, x=np.concatenate([inputs, unseen]), y=np.concatenate([labels, truth]), split=split)
    run_here(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    assert report.teacher.accuracy is not None
    assert report.teacher.accuracy > 0.9
    # So few series teach labels as well as a teacher does: what can be asked for is that it is followed.
    assert report.student.agreement > 0.87
    assert report.student.parameters * 30 < report.teacher.parameters
