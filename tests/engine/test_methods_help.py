"""What each method is worth on real images, a small network and a second of training: the list is the contract's own.

A method of outputs teaches digits of which every other label is wrong: its student must agree with the teacher more
often than one taught by those labels. One of features teaches alone, so nobody ever tells the student a class: what it
holds at the end must tell the teacher's classes apart better than before. N = samples, K = channels, C = classes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from torch import Tensor, nn

from app.contract.architectures import Resnet
from app.contract.objectives import FeatureTerm, HardTarget, Term
from app.contract.report import Report
from benchmarks.catalogue import fitting, lessons
from tests.engine.folders import make
from tests.engine.methods import alone, example, loss, rewritten, taught
from worker.engine import build
from worker.engine.taps.listener import Listener

TEACHER = Resnet(depth=8, widths=(16, 16, 32, 64), channels=1, classes=10)
STUDENT = Resnet(depth=8, widths=(4, 4, 8, 16), channels=1, classes=10)
SHAPE = (1, 8, 8)
TEST, TRAINING = 400, 400
"""Digits to test on, which nobody learns from; and those that the student sees."""
CLEARLY = 0.05
"""More of the test digits than chance makes."""
TERMS = fitting(TEACHER, STUDENT, SHAPE)


def says_which_class(kind: str) -> bool:
    """Return whether a method of outputs notices that the teacher's classes have changed places."""
    term, batch = example(kind)
    batch = alone(batch, [1, 2, 3, 4])
    rolled = rewritten(batch, [batch.student_BC], [value.roll(1, 1) for value in taught(batch)])
    return not torch.allclose(loss(term, rolled), loss(term, batch))


OF_FEATURES = [kind for kind, term in TERMS.items() if isinstance(term, FeatureTerm)]
OF_CLASSES = [kind for kind, term in TERMS.items() if "teacher" in term.needs and kind not in OF_FEATURES]
OF_CLASSES = [kind for kind in OF_CLASSES if says_which_class(kind)]
OTHERS = [kind for kind in TERMS if kind not in {*OF_FEATURES, *OF_CLASSES}]


class Digits(NamedTuple):
    """Pixels (N, 1, 8, 8) from 0 to 1, and labels (N,): first those of the test, then those to train on."""

    pixels: Tensor
    labels: Tensor


@pytest.fixture(scope="module")
def digits() -> Digits:
    inputs, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(labels))
    pixels = (inputs[order] / 16).astype(np.float32).reshape(-1, *SHAPE)
    return Digits(torch.from_numpy(pixels), torch.from_numpy(labels[order]))


@pytest.fixture(scope="module")
def teacher(digits: Digits) -> nn.Module:
    """Return a teacher that has seen all digits but those of the test."""
    pixels, labels = (tensor[TEST:] for tensor in digits)
    torch.manual_seed(0)
    network = build.network(TEACHER)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    for _ in range(6):
        for rows in torch.randperm(len(labels)).split(64):
            nn.functional.cross_entropy(network(pixels[rows]), labels[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
    return network.eval()


Teach = Callable[..., Report]


@pytest.fixture
def teach(tmp_path: Path, run_here: Callable[[Path], None], teacher: nn.Module, digits: Digits) -> Teach:
    """Train a student by one method, and by others where they may be beside it; every other label is drawn by lot."""
    labels = digits.labels[: TEST + TRAINING].clone()
    labels[TEST::2] = torch.randint(0, 10, (TRAINING // 2,), generator=torch.Generator().manual_seed(1))

    def run(kind: str, *beside: Term, epochs: int, control: bool = False) -> Report:
        optimizer = {"kind": "adamw", "learning_rate": {"kind": "cosine", "start": 1e-2}}
        training = {"epochs": epochs, "batch_size": 50, "optimizer": optimizer, "log_every": 8}
        spec = {**lessons(TERMS[kind], beside, first_epochs=30), "control": control}
        make(tmp_path, teacher=TEACHER, student=STUDENT, training=training, spec=spec)
        save_file(teacher.state_dict(), tmp_path / "inputs" / "teacher.safetensors")
        with (tmp_path / "inputs" / "transfer_set").open("wb") as file:
            split = np.repeat([2, 0], [TEST, TRAINING])
            np.savez(file, inputs=digits.pixels[: len(labels)], labels=labels, split=split)
        run_here(tmp_path)
        return Report.model_validate_json((tmp_path / "out" / "report.json").read_bytes())

    return run


def falls(report: Report, curve: str) -> bool:
    """Return whether a value has fallen over the training, by more than it varies between batches."""
    values = report.curves["student"][curve].values
    return values[-1] < values[0] - 0.05 * abs(values[0])


@torch.no_grad()
def told_apart(student: nn.Module, teacher: nn.Module, digits: Digits) -> float:
    """Return on how many test digits a ridge regression agrees with the teacher that reads what a student pools.

    It is fitted to the teacher's classes of the digits to train on.
    """
    pixels = digits.pixels[: TEST + TRAINING]
    listener = Listener(STUDENT, student.eval(), ["pooled"])
    listener.rehearse(pixels[:2])
    held_NK = listener(pixels)[1]["pooled"].value.double()
    held_NK = nn.functional.pad((held_NK - held_NK.mean(0)) / (held_NK.std(0) + 1e-6), (0, 1), value=1.0)
    class_N, known_NK = teacher(pixels).argmax(1), held_NK[TEST:]
    wanted_NC = nn.functional.one_hot(class_N[TEST:], 10).double()
    ridge_KK = known_NK.T @ known_NK + 0.1 * torch.eye(known_NK.shape[1])
    weights_KC = torch.linalg.solve(ridge_KK, known_NK.T @ wanted_NC)
    return (held_NK[:TEST] @ weights_KC).argmax(1).eq(class_N[:TEST]).double().mean().item()


@pytest.fixture(scope="module")
def told_apart_untaught(teacher: nn.Module, digits: Digits) -> float:
    torch.manual_seed(0)  # as the jobs do
    return told_apart(build.network(STUDENT), teacher, digits)


@pytest.mark.parametrize("kind", OF_CLASSES)
def test_outputs_teach_more_than_labels_of_which_many_are_wrong(teach: Teach, kind: str) -> None:
    report = teach(kind, epochs=16, control=True)
    assert falls(report, f"loss/{kind}")
    assert report.control is not None
    assert report.student.agreement > report.control.agreement + CLEARLY


@pytest.mark.parametrize("kind", OF_FEATURES)
def test_features_alone_teach_what_the_classes_are_about(
    tmp_path: Path, teach: Teach, teacher: nn.Module, digits: Digits, told_apart_untaught: float, kind: str
) -> None:
    assert falls(teach(kind, epochs=12), f"loss/{kind}")
    student = build.network(STUDENT)
    student.load_state_dict(load_file(tmp_path / "out" / "student.safetensors"))
    assert told_apart(student, teacher, digits) > told_apart_untaught + CLEARLY


@pytest.mark.parametrize("kind", OTHERS)
def test_labels_are_learnt_beside_what_says_nothing_of_the_teachers_classes(teach: Teach, kind: str) -> None:
    """Methods without a teacher, and those that read how sure it is, but not of what: all they promise is no harm."""
    report = teach(kind, HardTarget(), epochs=16)
    assert falls(report, "loss")
    assert report.student.agreement > 0.3


def test_most_methods_are_among_them() -> None:
    assert {"soft_target", "dkd"} <= set(OF_CLASSES)
    assert {"hint", "rkd"} <= set(OF_FEATURES)
    assert "hard_target" in OTHERS
