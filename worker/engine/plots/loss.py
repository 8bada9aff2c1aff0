"""Loss over time: what each run minimised. Student and control have losses of their own, so each has its panel."""

from matplotlib.figure import Figure

from app.contract.objectives import TERMS
from app.contract.report import Curve, Report
from worker.engine.plots import style

_SERIES = ("loss", "validation/loss")


def draw(report: Report, _names: tuple[str, ...]) -> Figure | None:
    stages = [run for run in report.curves if run.startswith("student.")]
    runs = [
        run for run in (*stages, "student", "control") if any(name in report.curves.get(run, {}) for name in _SERIES)
    ]
    if not runs:
        return None
    drawn, panels = style.figure(len(runs), "Loss over time")
    for run, axes in zip(runs, panels, strict=True):
        validated = "validation, outputs alone" if _compares_features(report, run) else "validation"
        for name, label, dashes, width in (("loss", "training", "-", 1.0), ("validation/loss", validated, "--", 2.0)):
            curve = report.curves[run].get(name, Curve(steps=[], values=[]))
            marker = "o" if len(curve.steps) == 1 else None
            colour = style.COLOURS[run.partition(".")[0]] if name == "loss" else "0.25"
            if curve.steps:
                axes.plot(curve.steps, curve.values, dashes, color=colour, linewidth=width, marker=marker, label=label)
        style.dress(axes, _title(run), "optimiser step", "loss (weighted sum of the terms, nats)")
        axes.legend(frameon=False)
    return drawn


def _compares_features(report: Report, run: str) -> bool:
    """Return whether the training's loss has terms that are not looked at in validation."""
    kinds = {
        name.removeprefix("loss/").rstrip("_0123456789") for name in report.curves[run] if name.startswith("loss/")
    }
    return any(not term.outputs for term in TERMS if term.model_fields["kind"].default in kinds)


def _title(run: str) -> str:
    if run == "control":
        return "Control: cross-entropy with the labels"
    stage = run.partition(".")[2]
    return f"Student, stage {stage}: its objective" if stage else "Student: the student's objective"
