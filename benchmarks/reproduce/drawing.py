"""How the plots look: few lines, readable in grey, written as SVG (for the docs) and PNG."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

DARK, BLUE, ORANGE, GREY = "#222222", "#0072b2", "#d55e00", "#8a8a8a"
"""Okabe & Ito's colours: apart also for the colour-blind; blue is darker than orange in grey."""
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "stillhouse",  # the same numbers give the same file
    "svg.fonttype": "none",
}


@contextmanager
def figure(
    path: Path, columns: int, width: float, height: float, title: str, *, copy: Path | None = None
) -> Iterator[list[Axes]]:
    """Yield panels side by side (inches), and write them to `path`.svg and `path`.png, and `copy` (for the docs)."""
    with plt.rc_context(STYLE):
        drawn, panels = plt.subplots(1, columns, figsize=(width, height), squeeze=False, layout="constrained")
        drawn.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        yield list(panels[0])
        drawn.savefig(path.with_suffix(".svg"), metadata={"Date": None})
        drawn.savefig(path.with_suffix(".png"), dpi=150)
        if copy is not None:
            shutil.copy(path.with_suffix(".svg"), copy)
        plt.close(drawn)
