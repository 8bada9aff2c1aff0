"""All plots of a report, drawn and written."""

from importlib import import_module
from pathlib import Path

import matplotlib as mpl

from worker.engine.plots import style
from worker.engine.published.distilled import Distilled

PLOTS = ("loss", "progress", "reliability", "confusion")


def write(out: Path, made: Distilled) -> list[str]:
    """Write each plot that has something to show; return their names."""
    drawn = []
    with mpl.rc_context(style.FIXED):
        for name in PLOTS:
            figure = import_module(f"worker.engine.plots.{name}").draw(made.report, made.class_names)
            if figure is not None:
                style.save(figure, out, name)
                drawn.append(name)
    return drawn
