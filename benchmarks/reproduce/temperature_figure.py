"""The plot of `temperature.py`: errors and divergence from the teacher over the temperature, a panel a width."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.reproduce.drawing import BLUE, ORANGE, figure
from benchmarks.reproduce.results import FOLDER

DOCS = Path(__file__).parents[2] / "docs"
LOOK = {30: ("student 2x30", ORANGE, "s--"), 300: ("student 2x300", BLUE, "o-")}


def draw(found: dict[str, Any]) -> None:
    """Write `temperature.svg` and `.png`, and `docs/temperature.svg`."""
    seeds = 1 + max(run["seed"] for run in found["runs"])
    title = f"{found['images']:,} images of MNIST, soft targets alone: mean and range of {seeds} seeds"
    with figure(FOLDER / "temperature", 2, 10, 3.8, title, copy=DOCS / "temperature.svg") as (left, right):
        _lines(left, found, "errors")
        left.set_ylabel("test errors of 10,000")
        left.set_title("Errors")
        _lines(right, found, "kl")
        right.set_ylabel("KL(teacher ‖ student) at T = 1 (nats)")
        right.set_title("Distance from the teacher")


def _lines(axes: Axes, found: dict[str, Any], series: str) -> None:
    temperatures = sorted({run["temperature"] for run in found["runs"]})
    for width, (label, colour, look) in LOOK.items():
        values = np.array([
            [run[series] for run in found["runs"] if (run["width"], run["temperature"]) == (width, temperature)]
            for temperature in temperatures
        ])  # fmt: skip
        axes.plot(temperatures, values.mean(1), look, color=colour, label=label)
        axes.fill_between(temperatures, values.min(1), values.max(1), color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(temperatures, [str(temperature) for temperature in temperatures])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("temperature T of the soft targets")
    axes.legend()
