"""What the temperature does (Hinton et al. 2015, section 3): students of two sizes on MNIST, soft targets alone.

python -m benchmarks.reproduce.temperature [--images 10000] [--epochs 20] [--seeds 3] [--draw]
"""

import argparse
from itertools import product
from typing import Any

import numpy as np

from app.contract.report import Report
from benchmarks.reproduce import material, mnist_teacher, results, service
from benchmarks.reproduce.temperature_figure import draw
from stillhouse import Stillhouse

TEMPERATURES = (1, 2, 4, 8, 20)
WIDTHS = (30, 300)
"""Units in each of a student's two hidden layers: the paper's."""
TRAIN, TEST = 0, 2
"""The service's numbers for the parts of a set."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    found = results.read("temperature") if options.draw else measure(options.images, options.epochs, options.seeds)
    draw(found)
    print(table(found))


def measure(images: int, epochs: int, seeds: int) -> dict[str, Any]:
    """Run a job for every seed, width and temperature; return the results, written after each seed."""
    data, runs, looks = material.mnist(), [], {"computed": 0, "reused": 0}
    with service.running() as client:
        weights = mnist_teacher.trained(data, epochs=30)
        teacher = client.models.create(weights, architecture=mnist_teacher.ARCHITECTURE).id
        transfer_set = client.datasets.create(subset(data, images)).id
        for seed in range(seeds):
            for width, temperature in product(WIDTHS, TEMPERATURES):
                report = distil(client, teacher, transfer_set, width, temperature, epochs, seed)
                runs.append({"width": width, "temperature": temperature, "seed": seed, **scores(report)})
                looks = {what: count + getattr(report.soft_targets, what) for what, count in looks.items()}
            content = {"images": images, "epochs": epochs, "looks": looks, "teacher": scores(report, "teacher")}
            found = results.write("temperature", report, {**content, "runs": runs})
    return found


def subset(data: material.Mnist, images: int) -> dict[str, np.ndarray]:
    """Return the first training images and all test images."""
    return {
        "inputs": np.concatenate([data.train_pixels[:images], data.test_pixels]),
        "labels": np.concatenate([data.train_labels[:images], data.test_labels]),
        "split": np.repeat([TRAIN, TEST], [images, len(data.test_labels)]),
    }


def distil(
    client: Stillhouse, teacher: str, transfer_set: str, width: int, temperature: float, epochs: int, seed: int
) -> Report:
    """Train one student on soft targets alone."""
    job = client.jobs.create(
        name=f"2x{width}, T = {temperature}, seed {seed}",
        teacher=teacher,
        student={"architecture": {"kind": "mlp", "inputs": 784, "hidden": [width, width], "classes": 10}},
        transfer_set=transfer_set,
        objective=[{"kind": "soft_target", "temperature": temperature}],
        training={
            "epochs": epochs,
            "batch_size": 128,
            "optimizer": {"kind": "adamw", "learning_rate": {"kind": "cosine", "start": 3e-3}, "weight_decay": 0},
        },
        control=False,
        seed=seed,
    )
    return service.finished(job).report


def scores(report: Report, who: str = "student") -> dict[str, float | None]:
    """Return what is plotted of one network."""
    found = getattr(report, who)
    return {"errors": round(10_000 * (1 - found.accuracy)), "agreement": found.agreement, "kl": found.kl_to_teacher}


def table(found: dict[str, Any]) -> str:
    """Return the mean test errors, and their range over the seeds."""
    heads = ("test errors of 10,000", *(f"T = {temperature}" for temperature in TEMPERATURES))
    return results.table(heads, *((f"student 2x{width}", *_errors(found, width)) for width in WIDTHS))


def _errors(found: dict[str, Any], width: int) -> list[str]:
    by_temperature = [
        [run["errors"] for run in found["runs"] if (run["width"], run["temperature"]) == (width, temperature)]
        for temperature in TEMPERATURES
    ]
    return [f"{np.mean(errors):.0f} ({min(errors)} to {max(errors)})" for errors in by_temperature]


if __name__ == "__main__":
    main()
