"""Soft targets as a regulariser (Hinton et al. 2015, section 6) on 300 labelled images of MNIST.

    python -m benchmarks.reproduce.regulariser [--epochs 200] [--seeds 3] [--draw]

One job a seed: its control learns the labels of the 300 images, its student the teacher's soft targets on them.
"""

import argparse
from typing import Any

import numpy as np

from app.contract.report import Curve, Report
from benchmarks.reproduce import material, mnist_teacher, results, service
from benchmarks.reproduce.regulariser_figure import draw
from stillhouse import Stillhouse
from stillhouse.job import JobHandle

LABELLED, WATCHED = 300, 2_000
"""Images to train on, 30 of each class; and those of the test set on which every epoch is looked at."""
TRAIN, VALIDATION, TEST = 0, 1, 2
"""The service's numbers for the parts of a set."""
BATCH, TEMPERATURE = 50, 4.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    found = results.read("regulariser") if options.draw else measure(options.epochs, options.seeds)
    draw(found)
    print(table(found))


def measure(epochs: int, seeds: int) -> dict[str, Any]:
    """Run a job for each seed; return the results as written."""
    data = material.mnist()
    with service.running() as client:
        weights = mnist_teacher.trained(data, epochs=30)
        teacher = client.models.create(weights, architecture=mnist_teacher.ARCHITECTURE)
        transfer_set = client.datasets.create(few(data))
        reports = [distil(client, teacher.id, transfer_set.id, epochs, seed).report for seed in range(seeds)]
    content = {
        "labelled": LABELLED,
        "epochs": epochs,
        "temperature": TEMPERATURE,
        "teacher_accuracy": reports[0].teacher.accuracy,
        "runs": [{"labels": run(report, "control"), "soft_targets": run(report, "student")} for report in reports],
    }
    return results.write("regulariser", reports[0], content)


def few(data: material.Mnist) -> dict[str, np.ndarray]:
    """Return the transfer set: 300 training images, 2,000 test images to watch, 8,000 for the report."""
    draw_ = np.random.default_rng(0)
    classes = [np.flatnonzero(data.train_labels == digit) for digit in range(10)]
    kept = np.concatenate([draw_.choice(rows, LABELLED // 10, replace=False) for rows in classes])
    parts = [LABELLED, WATCHED, len(data.test_labels) - WATCHED]
    return {
        "inputs": np.concatenate([data.train_pixels[kept], data.test_pixels]),
        "labels": np.concatenate([data.train_labels[kept], data.test_labels]),
        "split": np.repeat([TRAIN, VALIDATION, TEST], parts),
    }


def distil(client: Stillhouse, teacher: str, transfer_set: str, epochs: int, seed: int) -> JobHandle:
    """Train a student of 2x800 on soft targets alone; its control is the same network on labels alone."""
    job = client.jobs.create(
        name=f"soft targets, seed {seed}",
        teacher=teacher,
        student={"architecture": {"kind": "mlp", "inputs": 784, "hidden": [800, 800], "classes": 10}},
        transfer_set=transfer_set,
        objective=[{"kind": "soft_target", "temperature": TEMPERATURE}],
        training={
            "epochs": epochs,
            "batch_size": BATCH,
            "optimizer": {"kind": "adamw", "learning_rate": 1e-3, "weight_decay": 0},
        },
        seed=seed,
    )
    return service.finished(job)


def run(report: Report, who: str) -> dict[str, Any]:
    """Return what one network of a job came to, and its way there."""
    curves, scores = report.curves[who], getattr(report, who)
    steps = LABELLED // BATCH
    return {
        "epochs": [step / steps for step in curves["validation/nll"].steps],
        "nll": rounded(curves["validation/nll"]),
        "accuracy": rounded(curves["validation/accuracy"]),
        "test": {"accuracy": scores.accuracy, "nll": scores.nll, "ece": scores.ece},
    }


def rounded(curve: Curve) -> list[float]:
    return [round(value, 5) for value in curve.values]


def table(found: dict[str, Any]) -> str:
    """Return both ways of training side by side, the means over the seeds."""
    return results.table(
        (f"{found['labelled']} images, {len(found['runs'])} seeds", "labels alone", "soft targets alone"),
        ("lowest validation NLL, nats", *means(found, lambda run: min(run["nll"]), ".3f")),
        ("validation NLL at the end", *means(found, lambda run: run["nll"][-1], ".3f")),
        ("test accuracy", *means(found, lambda run: 100 * run["test"]["accuracy"], ".1f", " %")),
        ("test ECE", *means(found, lambda run: run["test"]["ece"], ".3f")),
    )


def means(found: dict[str, Any], value: Any, form: str, unit: str = "") -> tuple[str, str]:
    """Return the mean and the range over the seeds, for labels and for soft targets."""
    both = [[value(run[way]) for run in found["runs"]] for way in ("labels", "soft_targets")]
    texts = [f"{np.mean(values):{form}}{unit} ({min(values):{form}} to {max(values):{form}})" for values in both]
    return texts[0], texts[1]


if __name__ == "__main__":
    main()
