"""Confusion matrices: which classes are taken for which. Rows sum to 1 by colour; the numbers count samples."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.contract.report import Confusion, Report
from worker.engine.plots import style

_NUMBERED = 12
"""Up to so many classes, the samples of each cell are written into it."""
_LONGEST = 14


def draw(report: Report, names: tuple[str, ...]) -> Figure | None:
    shown = [one for one in report.confusions if sum(map(sum, one.counts))]
    if not shown:
        return None
    drawn, panels = style.figure(len(shown), "Confusion: shades are shares of a row", height=4.6)
    images = []
    for matrix, axes in zip(shown, panels, strict=True):
        shares = [[count / max(sum(row), 1) for count in row] for row in matrix.counts]
        images.append(axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto"))
        _label(axes, matrix, names)
        if len(matrix.counts) <= _NUMBERED:
            _number(axes, matrix.counts, shares)
    drawn.colorbar(images[-1], ax=panels, shrink=0.8, label="share of the row")
    return drawn


def _label(axes: Axes, matrix: Confusion, names: tuple[str, ...]) -> None:
    words = [_short(names[number]) if number < len(names) else str(number) for number in matrix.classes]
    words += ["others"] if matrix.others else []
    places = range(len(words))
    axes.set_xticks(places, words, rotation=90 if max(map(len, words)) > 2 else 0)
    axes.set_yticks(places, words)
    axes.set_title(f"{matrix.guess.capitalize()} against {matrix.truth}", fontsize=10)
    axes.set_xlabel(f"class named by the {matrix.guess}")
    axes.set_ylabel("label" if matrix.truth == "labels" else "class named by the teacher")


def _short(name: str) -> str:
    # A dollar sign would begin a formula.
    plain = " ".join(name.split()).replace("$", r"\$")
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 1] + "…"


def _number(axes: Axes, counts: list[list[int]], shares: list[list[float]]) -> None:
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            colour = "white" if shares[row][column] > 0.5 else "black"
            axes.text(column, row, f"{count:,}" if count else "", ha="center", va="center", color=colour, fontsize=7)
