"""The plot of `regulariser.py`: validation NLL and accuracy over epochs, a line a seed."""

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from benchmarks.reproduce.drawing import BLUE, DARK, ORANGE, figure
from benchmarks.reproduce.results import FOLDER

DOCS = Path(__file__).parents[2] / "docs"
WAYS = {"labels": ("labels alone", ORANGE, "--"), "soft_targets": ("soft targets alone", BLUE, "-")}


def draw(found: dict[str, Any]) -> None:
    """Write `regulariser.svg` and `.png`, and `docs/regularisation.svg`."""
    title = f"{found['labelled']} images of MNIST, the same network, {len(found['runs'])} seeds"
    with figure(FOLDER / "regulariser", 2, 10, 3.8, title, copy=DOCS / "regularisation.svg") as (left, right):
        _lines(left, found, "nll", 1.0)
        left.set_ylabel("NLL of the labels (nats)")
        left.set_title("Validation loss: labels overfit")
        _lines(right, found, "accuracy", 100.0)
        right.set_ylabel("validation accuracy (%)")
        right.set_title("Validation accuracy")
        _teacher(right, 100 * found["teacher_accuracy"])


def _teacher(axes: Axes, accuracy: float) -> None:
    axes.axhline(accuracy, color=DARK, linestyle=":", linewidth=1)
    place = axes.get_yaxis_transform()
    axes.text(0.99, accuracy - 0.2, "teacher, trained on all 60,000", ha="right", va="top", fontsize=9, transform=place)


def _lines(axes: Axes, found: dict[str, Any], series: str, factor: float) -> None:
    for way, (label, colour, dashes) in WAYS.items():
        for number, run in enumerate(found["runs"]):
            values = [factor * value for value in run[way][series]]
            axes.plot(run[way]["epochs"], values, dashes, color=colour, linewidth=1.3, label=None if number else label)
    axes.set_xlabel("epoch")
    axes.legend()
