"""Hinton et al. 2015, section 3, on MNIST: a student distilled at T = 20, and one that never saw a 3.

    python -m benchmarks.reproduce.mnist [--teacher-epochs 30] [--epochs 20] [--draw]

`--draw` only draws the results that are there. N = images.
"""

import argparse
import tempfile
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.reproduce import material, mnist_teacher, results, service
from benchmarks.reproduce.mnist_figure import draw
from stillhouse import JobHandle, Stillhouse

THREE = 3
TRAIN, TEST = 0, 2
"""The service's numbers for the parts of a set."""
SOFT = {"kind": "soft_target", "temperature": 20}
BIASES = np.arange(0, 8.01, 0.1)
"""What is tried on top of the bias of class 3."""
PAPER = {
    "teacher": 67,
    "alone": 146,
    "distilled": 74,
    "without_threes": {"errors": 206, "errors_of_threes": 133, "bias": 3.5, "fixed": 109, "fixed_of_threes": 14},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher-epochs", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=20, help="of each student")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    found = results.read("mnist") if options.draw else measure(options.teacher_epochs, options.epochs)
    draw(found, PAPER)
    print(table(found))


def measure(teacher_epochs: int, epochs: int) -> dict[str, Any]:
    """Train the teacher, run both jobs, count errors; return the results as written."""
    data = material.mnist()
    weights = mnist_teacher.trained(data, teacher_epochs)
    with service.running() as client, tempfile.TemporaryDirectory() as folder:
        teacher = client.models.create(weights, architecture=mnist_teacher.ARCHITECTURE)
        both = [{**SOFT, "weight": 0.9}, {"kind": "hard_target", "weight": 0.1}]
        distilled = distil(client, teacher.id, data, np.ones(60_000, dtype=bool), both, epochs, "T = 20, with labels")
        blind = distil(client, teacher.id, data, data.train_labels != THREE, [SOFT], epochs, "T = 20, no 3")
        student = mnist_teacher.network(784, 800, 800, 10)
        student.load_state_dict(load_file(blind.student.download(folder)))
        report = distilled.report
        return results.write(
            "mnist",
            report,
            {
                "epochs": {"teacher": teacher_epochs, "students": epochs},
                "teacher": wrong(report.teacher.accuracy),
                "alone": wrong(report.control.accuracy),
                "distilled": wrong(report.student.accuracy),
                "agreement": {"alone": report.control.agreement, "distilled": report.student.agreement},
                "without_threes": with_raised_bias(student, data),
                "seconds": report.training_seconds,
            },
        )


def distil(
    client: Stillhouse,
    teacher: str,
    data: material.Mnist,
    kept_N: np.ndarray,
    objective: list[dict[str, Any]],
    epochs: int,
    name: str,
) -> JobHandle:
    """Teach a student of 2x800 with the training images that are kept; all test images are for the report."""
    parts = np.repeat([TRAIN, TEST], [kept_N.sum(), len(data.test_labels)])
    transfer_set = client.datasets.create({
        "inputs": np.concatenate([data.train_pixels[kept_N], data.test_pixels]),
        "labels": np.concatenate([data.train_labels[kept_N], data.test_labels]),
        "split": parts,
    })  # fmt: skip
    job = client.jobs.create(
        name=name,
        teacher=teacher,
        student={"architecture": {"kind": "mlp", "inputs": 784, "hidden": [800, 800], "classes": 10}},
        transfer_set=transfer_set,
        objective=objective,
        training={
            "epochs": epochs,
            "batch_size": 128,
            "optimizer": {"kind": "adamw", "learning_rate": {"kind": "cosine", "start": 1e-3}, "weight_decay": 0},
        },
        control=len(objective) > 1,
    )
    return service.finished(job)


def wrong(accuracy: float | None) -> int:
    """Return the errors among the 10,000 test images."""
    assert accuracy is not None
    return round(10_000 * (1 - accuracy))


def with_raised_bias(student: nn.Module, data: material.Mnist) -> dict[str, Any]:
    """Return test errors over what is added to the bias of class 3, and where the training images would put it."""
    test_K, threes_K = errors_by_bias(student, data.test_pixels, data.test_labels)
    train_K, _ = errors_by_bias(student, data.train_pixels, data.train_labels)
    best, honest = int(np.argmin(test_K)), int(np.argmin(train_K))
    return {
        "biases": BIASES.round(1).tolist(),
        "errors": test_K,
        "errors_of_threes": threes_K,
        "threes": int((data.test_labels == THREE).sum()),
        "best_on_test": best,
        "best_on_training": honest,
    }


def errors_by_bias(student: nn.Module, pixels: np.ndarray, labels: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the errors in all, and those on images of a 3, for each of BIASES."""
    with torch.inference_mode():
        logits_NC = torch.cat([student(part) for part in torch.from_numpy(pixels).split(1_000)])
    labels_N = torch.from_numpy(labels)
    wrong_KN = torch.stack([raised(logits_NC, bias).argmax(1) != labels_N for bias in BIASES])
    return wrong_KN.sum(1).tolist(), wrong_KN[:, labels_N == THREE].sum(1).tolist()


def raised(logits_NC: Tensor, bias: float) -> Tensor:
    """Return the logits that the student would have if its last layer's bias of class 3 were so much larger."""
    return logits_NC + bias * nn.functional.one_hot(torch.tensor(THREE), 10)


def table(found: dict[str, Any]) -> str:
    """Return theirs beside ours."""
    blind = found["without_threes"]
    best, honest = blind["best_on_test"], blind["best_on_training"]

    def ours(place: int) -> str:
        return f"{blind['errors'][place]} ({blind['errors_of_threes'][place]})"

    return results.table(
        ("test errors of 10,000 (on 3s)", "paper", "here"),
        ("teacher, 2x1200", "67", str(found["teacher"])),
        ("student, 2x800, labels alone", "146", str(found["alone"])),
        ("student, T = 20", "74", str(found["distilled"])),
        ("no 3 in the transfer set", "206 (133)", ours(0)),
        ("the same, bias of 3 best on the test set", "109 (14), +3.5", f"{ours(best)}, +{blind['biases'][best]}"),
        ("the same, bias best on the training set", "-", f"{ours(honest)}, +{blind['biases'][honest]}"),
    )


if __name__ == "__main__":
    main()
