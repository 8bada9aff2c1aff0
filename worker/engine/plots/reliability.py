"""Reliability diagrams (Guo et al. 2017): how often a network is right where it is so confident."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.contract.report import Report, Scores
from worker.engine.plots import style


def draw(report: Report, _names: tuple[str, ...]) -> Figure | None:
    networks = {"teacher": report.teacher, "student": report.student, "control": report.control}
    shown = {who: scores for who, scores in networks.items() if scores and scores.reliability}
    if not shown:
        return None
    drawn, panels = style.figure(len(shown), "Reliability: confidence against accuracy (larger marks: more samples)")
    for (who, scores), axes in zip(shown.items(), panels, strict=True):
        _panel(axes, who, scores)
    return drawn


def _panel(axes: Axes, who: str, scores: Scores) -> None:
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="as right as confident")
    for bins, label, dashes, marker, error in (
        (scores.reliability, "as it is", "-", "o", scores.ece),
        (scores.reliability_scaled, "temperature scaled", "--", "^", scores.ece_scaled),
    ):
        if not bins or error is None:
            continue
        points = [point for point in zip(bins.confidence, bins.accuracy, bins.counts, strict=True) if point[2]]
        confidence, accuracy, counts = zip(*points, strict=True)
        colour = style.COLOURS[who] if marker == "o" else "0.35"
        axes.plot(confidence, accuracy, dashes, color=colour, linewidth=1.2, label=f"{label}, ECE {error:.3f}")
        largest = max(counts)
        axes.scatter(confidence, accuracy, [12 + 90 * count / largest for count in counts], color=colour, marker=marker)
    style.dress(axes, who.capitalize(), "mean confidence of the bin", "accuracy in the bin")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.legend(framealpha=0.9, edgecolor="none")
