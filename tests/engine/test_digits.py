"""Real data: a few labels, and a teacher whose knowledge travels on its predictions."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from app.contract.architectures import Mlp
from app.contract.report import Report
from tests.engine.folders import make
from worker.engine import build

TEACHER = Mlp(inputs=64, hidden=(512, 512), classes=10)
STUDENT = Mlp(inputs=64, hidden=(16,), classes=10)
HELD_BACK, LABELLED = 500, 100


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    inputs, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(labels))
    return (inputs[order] / 16).astype(np.float32), labels[order]


@pytest.fixture(scope="module")
def teacher(digits: tuple[np.ndarray, np.ndarray]) -> dict[str, torch.Tensor]:
    inputs, labels = (torch.from_numpy(array[HELD_BACK:]) for array in digits)
    torch.manual_seed(0)
    network = build.network(TEACHER)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(8):
        for rows in torch.split(torch.randperm(len(inputs)), 64):
            torch.nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
    return network.state_dict()


def put(folder: Path, teacher: dict[str, torch.Tensor], **arrays: np.ndarray) -> None:
    """Give a job directory its teacher's weights and its transfer set."""
    save_file(teacher, folder / "inputs" / "teacher.safetensors")
    with (folder / "inputs" / "transfer_set").open("wb") as file:
        np.savez(file, **arrays)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_distilled_student_beats_the_same_student_without_its_teacher(
    tmp_path: Path,
    run_here: Callable[[Path], None],
    digits: tuple[np.ndarray, np.ndarray],
    teacher: dict[str, torch.Tensor],
    seed: int,
) -> None:
    inputs, truth = digits
    labels = np.where(np.arange(len(truth)) < HELD_BACK + LABELLED, truth, -1)
    split = np.where(np.arange(len(truth)) < HELD_BACK, 2, 0)
    training = {"epochs": 60, "batch_size": 64, "optimizer": {"kind": "adamw", "learning_rate": 5e-3}}
    folder = make(tmp_path, teacher=TEACHER, student=STUDENT, training=training, spec={"seed": seed})
    put(folder, teacher, x=inputs, y=labels, split=split)
    run_here(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    assert report.evaluated_on.samples == HELD_BACK
    assert report.control is not None
    assert report.teacher.parameters > 200 * report.student.parameters
    assert report.teacher.accuracy is not None
    assert report.student.accuracy is not None
    assert report.control.accuracy is not None
    assert report.teacher.accuracy > 0.94
    assert report.student.accuracy > report.control.accuracy + 0.03
    assert report.student.agreement > report.control.agreement
    assert report.student.kl_to_teacher < report.control.kl_to_teacher


def test_soft_targets_keep_a_student_from_overfitting(
    tmp_path: Path,
    run_here: Callable[[Path], None],
    digits: tuple[np.ndarray, np.ndarray],
    teacher: dict[str, torch.Tensor],
) -> None:
    inputs, labels = (array[: HELD_BACK + LABELLED] for array in digits)
    split = np.where(np.arange(len(labels)) < HELD_BACK, 1, 0)
    training = {"epochs": 40, "batch_size": 20, "optimizer": {"kind": "adamw", "learning_rate": 1e-2}}
    student = Mlp(inputs=64, hidden=(256, 256), classes=10)
    objective = [{"kind": "soft_target", "temperature": 4}]
    folder = make(tmp_path, teacher=TEACHER, student=student, training=training, spec={"objective": objective})
    put(folder, teacher, x=inputs, y=labels, split=split)
    run_here(folder)
    report = Report.model_validate_json((folder / "out" / "report.json").read_bytes())
    on_labels = report.curves["control"]["validation/nll"].values
    on_soft_targets = report.curves["student"]["validation/nll"].values
    assert len(on_labels) == len(on_soft_targets) == 40
    assert on_labels[-1] > 1.05 * min(on_labels)
    assert on_labels.index(min(on_labels)) < 30
    assert on_soft_targets[-1] < 1.05 * min(on_soft_targets)
    assert on_soft_targets[-1] < 0.6 * min(on_labels)
