"""Every method for images, each at its defaults beside labels: what it is worth on 1,000 digits of MNIST.

    python -m benchmarks.reproduce.methods [--images 1000] [--epochs 20] [--seeds 5] [--only KIND ...] [--draw]

A ResNet that has seen 10,000 images teaches one 15 times smaller; its control learns the same labels alone. Results are
kept job by job, and only what is missing is run.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cross_entropy

from app.contract.architectures import Resnet
from app.contract.objectives import HardTarget
from app.contract.report import Report, Scores
from benchmarks.catalogue import fitting, lessons
from benchmarks.reproduce import material, results, service
from benchmarks.reproduce.methods_figure import draw
from stillhouse import Stillhouse
from worker.engine import build

TEACHER = Resnet(depth=8, widths=(16, 16, 32, 64), channels=1, classes=10)
STUDENT = Resnet(depth=8, widths=(4, 4, 8, 16), channels=1, classes=10)
SHAPE = (1, 14, 14)
TAUGHT_ON, TEST = 10_000, 5_000
"""Images that the teacher learns from, and images to test on."""
CONTROL = "control"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_000, help="that the students learn from")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="kinds of methods; by default all")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    found = results.read("methods") if options.draw else measure(options)
    draw(found, CONTROL)
    print(table(found))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the jobs that are missing; return the results, written after each job."""
    data, found = pictures(), known(options)
    with service.running() as client:
        weights = taught(*data["train"])
        teacher = client.models.create(weights, architecture=TEACHER).id
        transfer_set = client.datasets.create(subset(data, options.images)).id
        for kind, seed in missing(found["runs"], options):
            report = distil(client, teacher, transfer_set, options, kind, seed)
            found["runs"] += told(report, kind, seed)
            found["teacher"] = scores(report.teacher)
            results.write("methods", report, found)
    return results.read("methods")


def known(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was measured before in the same setting."""
    setting = {"images": options.images, "epochs": options.epochs, "test": TEST}
    try:
        before = results.read("methods")
    except FileNotFoundError:
        return {**setting, "runs": []}
    alike = all(before[name] == value for name, value in setting.items())
    return {**setting, "runs": before["runs"] if alike else []}


def missing(runs: Sequence[dict[str, Any]], options: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Yield methods and seeds without a result, all methods of a seed before the next seed."""
    there = {(run["method"], run["seed"]) for run in runs}
    kinds = [kind for kind in fitting(TEACHER, STUDENT, SHAPE) if kind != "hard_target"]
    for seed in range(options.seeds):
        for kind in options.only or kinds:
            if (kind, seed) not in there:
                yield kind, seed


def pictures() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return MNIST at 14 x 14 pixels: the teacher's training images, and those to test on."""
    data = material.mnist()
    parts = {
        "train": (data.train_pixels, data.train_labels, TAUGHT_ON),
        "test": (data.test_pixels, data.test_labels, TEST),
    }
    return {
        part: (avg_pool2d(torch.from_numpy(pixels[:count]).view(-1, 1, 28, 28), 2), torch.from_numpy(labels[:count]))
        for part, (pixels, labels, count) in parts.items()
    }


def taught(pixels: torch.Tensor, labels: torch.Tensor, epochs: int = 8) -> dict[str, torch.Tensor]:
    """Return the weights of a teacher."""
    torch.manual_seed(0)
    network: nn.Module = build.network(TEACHER)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, fused=True)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - epoch / epochs)
        for rows in torch.randperm(len(labels)).split(64):
            cross_entropy(network(pixels[rows]), labels[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
    return network.state_dict()


def subset(data: dict[str, tuple[torch.Tensor, torch.Tensor]], images: int) -> dict[str, np.ndarray]:
    """Return the first training images and all to test on."""
    (pixels, labels), (unseen, truth) = data["train"], data["test"]
    return {
        "inputs": torch.cat([pixels[:images], unseen]).numpy(),
        "labels": torch.cat([labels[:images], truth]).numpy(),
        "split": np.repeat([0, 2], [images, len(truth)]),
    }


def distil(
    client: Stillhouse, teacher: str, transfer_set: str, options: argparse.Namespace, kind: str, seed: int
) -> Report:
    """Train one student by a method beside labels; with soft targets, which every seed has, its control too."""
    term = fitting(TEACHER, STUDENT, SHAPE)[kind]
    job = client.jobs.create(
        name=f"{kind}, seed {seed}",
        teacher=teacher,
        student={"architecture": STUDENT},
        transfer_set=transfer_set,
        **lessons(term, (HardTarget(),), first_epochs=options.epochs),
        training={
            "epochs": options.epochs,
            "optimizer": {"kind": "adamw", "learning_rate": {"kind": "cosine", "start": 5e-3}},
        },
        control=kind == "soft_target",
        export={"plots": False},
        seed=seed,
    )
    return service.finished(job).report


def told(report: Report, kind: str, seed: int) -> list[dict[str, Any]]:
    """Return a job's results: of its student, and of its control where it has one."""
    found = [{"method": kind, "seed": seed, **scores(report.student)}]
    return [*found, {"method": CONTROL, "seed": seed, **scores(report.control)}] if report.control else found


def scores(found: Scores) -> dict[str, float]:
    """Return what is told of one network, in percent."""
    assert found.accuracy is not None
    return {"accuracy": round(100 * found.accuracy, 2), "agreement": round(100 * found.agreement, 2)}


def table(found: dict[str, Any]) -> str:
    """Return each method's means over the seeds, the best first; gains are over the control of the same seed."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in found["runs"]:
        runs.setdefault(run["method"], []).append(run)
    alone = {run["seed"]: run["accuracy"] for run in runs[CONTROL]}
    ranked = sorted(runs.items(), key=lambda entry: -mean(entry[1], "accuracy"))
    heads = ("method", "accuracy in %", "over labels alone", "seeds better", "agreement in %")
    last = ("teacher", f"{found['teacher']['accuracy']:.1f}", "", "", "100.0")
    return results.table(heads, *(_row(method, of, alone) for method, of in ranked), last)


def _row(method: str, runs: list[dict[str, Any]], alone: dict[int, float]) -> results.Row:
    accuracies, agreement = [run["accuracy"] for run in runs], f"{mean(runs, 'agreement'):.1f}"
    spread = f"{np.mean(accuracies):.1f} ({min(accuracies):.1f} to {max(accuracies):.1f})"
    if method == CONTROL:
        return "**labels alone**", spread, "", "", agreement
    gains = [run["accuracy"] - alone[run["seed"]] for run in runs if run["seed"] in alone]
    better = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
    return f"[`{method}`](methods.md#{method})", spread, f"{np.mean(gains):+.1f}", better, agreement


def mean(runs: list[dict[str, Any]], what: str) -> float:
    """Return the mean over a method's runs."""
    return float(np.mean([run[what] for run in runs]))


if __name__ == "__main__":
    main()
