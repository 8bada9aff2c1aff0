"""Accuracy and agreement with the teacher over time, student and control, on the validation split."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.contract.report import Curve, Report
from worker.engine.plots import style

_SHOWN = (("accuracy", "Accuracy", "share of labelled samples"), ("agreement", "Agreement", "share of samples"))


def draw(report: Report, _names: tuple[str, ...]) -> Figure | None:
    shown = [entry for entry in _SHOWN if _series(report, entry[0])]
    if not shown:
        return None
    drawn, panels = style.figure(len(shown), "Accuracy and agreement with the teacher over time (validation)")
    for (metric, title, unit), axes in zip(shown, panels, strict=True):
        for run, curve in _series(report, metric).items():
            axes.plot(
                curve.steps,
                curve.values,
                style.DASHES[run],
                color=style.COLOURS[run],
                linewidth=2,
                marker="s" if run == "control" else "o",
                markersize=4,
                markevery=max(len(curve.steps) // 8, 1),
                label=run,
            )
        _teacher(report, metric, axes)
        style.dress(axes, title, "optimiser step", unit)
        axes.legend(frameon=False)
    return drawn


def _teacher(report: Report, metric: str, axes: Axes) -> None:
    if metric == "accuracy" and report.teacher.accuracy is not None:
        label = f"teacher, {report.evaluated_on.split}, at the end"
        axes.axhline(report.teacher.accuracy, color=style.COLOURS["teacher"], linestyle="-.", linewidth=1, label=label)


def _series(report: Report, metric: str) -> dict[str, Curve]:
    curves = {run: report.curves.get(run, {}).get(f"validation/{metric}") for run in ("student", "control")}
    return {run: curve for run, curve in curves.items() if curve and curve.steps}
