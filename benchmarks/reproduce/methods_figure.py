"""The plot of `methods.py`: accuracy and agreement of each method beside those of the control."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.reproduce.drawing import BLUE, DARK, GREY, ORANGE, figure
from benchmarks.reproduce.results import FOLDER

_DOCS = Path(__file__).parents[2] / "docs" / "method_results.svg"


def draw(found: dict[str, Any], control: str) -> None:
    """Write `methods.svg` and `methods.png`, and a copy for the docs."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for run in found["runs"]:
        runs.setdefault(run["method"], []).append(run)
    order = sorted(runs, key=lambda method: float(np.mean([run["accuracy"] for run in runs[method]])))
    title = f"Each method at its defaults beside {found['images']:,} labels (MNIST, 14 x 14)"
    with figure(FOLDER / "methods", 2, 10, 1.2 + 0.24 * len(order), title, copy=_DOCS) as panels:
        for axes, what in zip(panels, ("accuracy", "agreement"), strict=True):
            _dots(axes, runs, order, control, what)
        panels[0].axvline(found["teacher"]["accuracy"], color=DARK, linestyle=":", linewidth=1, label="teacher")
        panels[0].set_xlabel("test accuracy (%)")
        panels[1].set_xlabel("test images with the teacher's class (%)")
        panels[1].set_yticklabels([])
        panels[0].legend(loc="lower right", fontsize=8)


def _dots(axes: Axes, runs: dict[str, list[dict[str, Any]]], order: list[str], control: str, what: str) -> None:
    for place, method in enumerate(order):
        values = [run[what] for run in runs[method]]
        axes.plot(values, [place] * len(values), "o", color=GREY, fillstyle="none", markersize=4)
        axes.plot(np.mean(values), place, "D", color=ORANGE if method == control else BLUE, markersize=5)
    axes.axvline(np.mean([run[what] for run in runs[control]]), color=ORANGE, linewidth=1, label="labels alone")
    axes.plot([], [], "D", color=BLUE, markersize=5, label="mean")
    axes.plot([], [], "o", color=GREY, fillstyle="none", markersize=4, label="a seed")
    axes.set_yticks(
        range(len(order)), ["labels alone" if method == control else method for method in order], fontsize=8
    )
    axes.set_ylim(-0.7, len(order) - 0.3)
