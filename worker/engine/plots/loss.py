"""Loss over time: what each run minimised. Student and control have losses of their own, so each has its panel."""

from matplotlib.figure import Figure

from app.contract.report import Curve, Report
from worker.engine.plots import style

_SERIES = (("loss", "training", "-", 1.0), ("validation/loss", "validation", "--", 2.0))


def draw(report: Report, _names: tuple[str, ...]) -> Figure | None:
    stages = [run for run in report.curves if run.startswith("student.")]
    runs = [
        run
        for run in (*stages, "student", "control")
        if any(name in report.curves.get(run, {}) for name, *_ in _SERIES)
    ]
    if not runs:
        return None
    drawn, panels = style.figure(len(runs), "Loss over time")
    for run, axes in zip(runs, panels, strict=True):
        for name, label, dashes, width in _SERIES:
            curve = report.curves[run].get(name, Curve(steps=[], values=[]))
            marker = "o" if len(curve.steps) == 1 else None
            colour = style.COLOURS[run.partition(".")[0]] if name == "loss" else "0.25"
            if curve.steps:
                axes.plot(curve.steps, curve.values, dashes, color=colour, linewidth=width, marker=marker, label=label)
        style.dress(axes, _title(run), "optimiser step", "loss (weighted sum of the terms, nats)")
        axes.legend(frameon=False)
    return drawn


def _title(run: str) -> str:
    if run == "control":
        return "Control: cross-entropy with the labels"
    stage = run.partition(".")[2]
    return f"Student, stage {stage}: its objective" if stage else "Student: the student's objective"
