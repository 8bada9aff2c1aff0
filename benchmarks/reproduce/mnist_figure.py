"""The plot of `mnist.py`: errors beside the paper's, and what the bias of class 3 does."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.reproduce.drawing import BLUE, DARK, GREY, ORANGE, figure
from benchmarks.reproduce.results import FOLDER


def draw(found: dict[str, Any], paper: dict[str, Any]) -> None:
    """Write `mnist.svg` and `mnist.png`."""
    with figure(FOLDER / "mnist", 2, 10, 4, "MNIST after Hinton et al. 2015: 10,000 test images") as (left, right):
        _bars(left, found, paper)
        _biases(right, found["without_threes"], paper["without_threes"])


def _bars(axes: Axes, found: dict[str, Any], paper: dict[str, Any]) -> None:
    blind = found["without_threes"]
    names = ["teacher\n2x1200", "student 2x800\nlabels alone", "student\nT = 20", "no 3 in transfer\nset, bias fixed"]
    here = [*(found[name] for name in ("teacher", "alone", "distilled")), blind["errors"][blind["best_on_test"]]]
    theirs = [*(paper[name] for name in ("teacher", "alone", "distilled")), paper["without_threes"]["fixed"]]
    places = np.arange(len(names))
    for shift, values, colour, label in ((-0.2, theirs, "#c4c4c4", "paper"), (0.2, here, BLUE, "here")):
        axes.bar_label(axes.bar(places + shift, values, 0.38, color=colour, label=label), padding=2)
    axes.set_xticks(places, names)
    axes.set_ylabel("test errors")
    axes.set_title("What the soft targets bring")
    axes.grid(axis="x", visible=False)
    axes.set_ylim(0, 1.25 * max(*here, *theirs))
    axes.legend(loc="upper right", ncols=2)


def _biases(axes: Axes, blind: dict[str, Any], paper: dict[str, Any]) -> None:
    biases, best, honest = blind["biases"], blind["best_on_test"], blind["best_on_training"]
    axes.plot(biases, blind["errors"], color=BLUE, label="all errors")
    axes.plot(biases, blind["errors_of_threes"], color=ORANGE, linestyle="--", label="errors on the 3s")
    theirs = {
        "o": ("errors", "fixed", "paper, all errors"),
        "s": ("errors_of_threes", "fixed_of_threes", "paper, on the 3s"),
    }
    for marker, (before, after, label) in theirs.items():
        points = [paper[before], paper[after]]
        axes.plot([0, paper["bias"]], points, marker, color=DARK, fillstyle="none", label=label)
    axes.plot(biases[best], blind["errors"][best], "o", color=BLUE, label="lowest on the test set")
    axes.axvline(biases[honest], color=GREY, linestyle=":", linewidth=1, label="best on the training set")
    axes.set_xlabel("added to the bias of class 3 (logits)")
    axes.set_ylabel("test errors")
    axes.set_xlim(-0.15, 5)
    axes.set_ylim(0, 1.5 * max(blind["errors"][0], paper["errors"]))
    axes.set_title("A student that never saw a 3")
    axes.legend(loc="upper right", ncols=2, fontsize=8)
