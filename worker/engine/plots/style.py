"""How all plots look: one palette that also tells apart in grey, line styles, fonts that matplotlib brings along."""

import io
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from worker.engine.checkpoint import write_bytes

# Okabe and Ito's colours, which the colour-blind tell apart; lightness and dashes carry the same in grey.
COLOURS = {"teacher": "#000000", "student": "#0072B2", "control": "#D55E00"}
DASHES = {"teacher": ":", "student": "-", "control": "--"}
_DPI = 120
FIXED: dict[Any, Any] = {
    "svg.hashsalt": "stillhouse", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9.0
}  # fmt: skip
"""Settings to be in force while drawing and saving. Ids of an SVG's parts come from this salt and not from chance, so
that equal plots are equal bytes."""


def figure(panels: int, title: str, height: float = 3.9) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with panels side by side."""
    drawn = Figure(figsize=(4.6 * panels + 0.6, height), dpi=_DPI, layout="constrained")
    drawn.suptitle(title, fontsize=11, fontweight="bold")
    return drawn, [drawn.add_subplot(1, panels, number + 1) for number in range(panels)]


def dress(axes: Axes, title: str, across: str, up: str) -> None:
    """Give a panel its title, its units, and a quiet frame."""
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(visible=True, color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save(drawn: Figure, out: Path, name: str) -> None:
    """Write `name`.png and `name`.svg: the same figure, the same bytes every time."""
    png, svg = io.BytesIO(), io.BytesIO()
    # The library has no types for these two.
    FigureCanvasAgg(drawn).print_png(png, metadata={"Software": None})  # type: ignore[no-untyped-call]
    FigureCanvasSVG(drawn).print_svg(svg, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    write_bytes(out / f"{name}.png", png.getvalue())
    write_bytes(out / f"{name}.svg", svg.getvalue())
