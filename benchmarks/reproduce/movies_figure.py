"""The plot of `movies.py`: accuracy and agreement of the same student, trained in three ways."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.reproduce.drawing import BLUE, DARK, GREY, figure
from benchmarks.reproduce.results import FOLDER


def draw(found: dict[str, Any], paper: dict[str, float], names: dict[str, str]) -> None:
    """Write `movies.svg` and `movies.png`."""
    title = "Movie sentences after Tang et al. 2019: MiniLM teaches a BiLSTM"
    with figure(FOLDER / "movies", 2, 10, 3.8, title) as (left, right):
        ways = [way for way in names if way != "teacher"]
        _dots(left, found, ways, names, "accuracy")
        left.axvline(found["teacher"]["accuracy"], color=DARK, linestyle=":", linewidth=1)
        left.text(found["teacher"]["accuracy"], -0.45, "teacher ", ha="right", va="center", fontsize=9)
        left.set_xlabel("test accuracy (%)")
        theirs = ", ".join(str(value) for value in paper.values())
        left.set_title(f"Accuracy (paper, SST-2: teacher, first, last {theirs})", fontsize=9)
        _dots(right, found, ways, names, "agreement")
        right.set_yticklabels([])
        right.set_xlabel("test sentences with the teacher's class (%)")
        right.set_title("Agreement with the teacher", fontsize=9)


def _dots(axes: Axes, found: dict[str, Any], ways: list[str], names: dict[str, str], what: str) -> None:
    for place, way in enumerate(ways):
        values = [run[way][what] for run in found["runs"]]
        mean = float(np.mean(values))
        axes.plot(values, [place] * len(values), "o", color=GREY, fillstyle="none")
        axes.plot(mean, place, "D", color=BLUE)
        axes.annotate(f"{mean:.1f}", (mean, place), (0, 7), textcoords="offset points", ha="center")
    axes.plot([], [], "D", color=BLUE, label="mean")
    axes.plot([], [], "o", color=GREY, fillstyle="none", label="a seed")
    axes.set_yticks(range(len(ways)), [names[way].removeprefix("BiLSTM, ") for way in ways])
    axes.set_ylim(len(ways) - 0.4, -0.7)
    axes.legend(loc="lower left")
