"""One job from its inputs to what it publishes: student, control, report, files."""

from pathlib import Path

import torch
from torch import nn

from app.contract.events import Finished, Notice, PhaseEntered, Run, run_of_generation
from app.contract.job_file import JobFile
from app.contract.objectives import HardTarget, ObjectiveTerm
from app.contract.preprocessing import Image
from app.contract.report import Report
from app.contract.states import Phase
from worker.engine import build, generations, onnx_export, publication, surroundings
from worker.engine.bench import Bench
from worker.engine.checkpoint import Corrupt
from worker.engine.distilled import Distilled
from worker.engine.outcome import Outcome, Outcomes, outcome_of
from worker.engine.plan import Plan, with_budget
from worker.engine.reporter import Reporter
from worker.engine.samples import Inputs
from worker.engine.scores import Scorer, evaluated_on
from worker.engine.state import Tensors
from worker.engine.stop import StopSignal


def run_job(folder: Path, job: JobFile, reporter: Reporter, stop: StopSignal) -> None:
    """Train, evaluate and publish into `out/`. Raises EngineFailure or Stopped."""
    bench = Bench(folder, job, reporter, stop)
    if job.spec.export.onnx:
        # Before anything is trained: what the exporter cannot do should not be found out hours later.
        onnx_export.export(build.network(job.student.architecture), _real_inputs(bench))
    no_control = _why_no_control(bench)
    runs = job.spec.generations + (not no_control)
    born = _generations(bench, runs)
    control = None
    if not no_control:
        plan = with_budget(bench.plan, bench.transfer_set.labelled_rows["train"])
        control = _trained(bench, Run.CONTROL, (HardTarget(weight=1.0),), plan, ((runs - 1) / runs, 1.0))
    reporter.report(PhaseEntered(phase=Phase.EVALUATING))
    report = _report(bench, born, control, no_control)
    stop.check()
    reporter.report(PhaseEntered(phase=Phase.EXPORTING))
    onnx, report = _as_onnx(bench, born[-1], report) if job.spec.export.onnx else (None, report)
    publication.publish(folder, _distilled(bench, born, report), onnx)
    reporter.report(Finished(stop_reason=born[-1].stop_reason))


_HELD = 64
"""Samples on which ONNX is held against torch."""


def _real_inputs(bench: Bench) -> Inputs:
    rows_N = bench.evaluator.rows(evaluated_on(bench.transfer_set).split)
    # At least two: a batch of one would be taken for a rule.
    rows_B = rows_N[torch.arange(max(min(len(rows_N), _HELD), 2), device=rows_N.device) % len(rows_N)]
    return bench.student_sight.plain(rows_B).to("cpu")


def _as_onnx(bench: Bench, student: Outcome, report: Report) -> tuple[bytes | None, Report]:
    """Return the student as ONNX and the report with how true it is; no model, and a notice, where it is not."""
    content, held = onnx_export.exported(_network(bench, student.weights).to("cpu"), _real_inputs(bench))
    if not held.published:
        text = f"student.onnx is left out: its logits differ from torch's by {held.max_difference:.2g}."
        bench.reporter.report(Notice(text=text))
    return content if held.published else None, report.model_copy(update={"onnx": held})


def _why_no_control(bench: Bench) -> str | None:
    if not bench.job.spec.control:
        return "The spec switched the control off."
    if bench.evaluator.embedding:
        return "Embeddings cannot be learnt from labels alone."
    if not len(bench.transfer_set.labelled_rows["train"]):
        return "No training sample carries a label, so there is nothing to train a control on."
    return None


def _generations(bench: Bench, runs: int) -> list[Outcome]:
    """Return every generation's outcome, of a job that makes so many runs; the last one is the student."""
    count, born = bench.job.spec.generations, list[Outcome]()
    for number in range(1, count + 1):
        its_bench = generations.taught_by(bench, born[-1].weights, number) if born else bench
        share = (number - 1) / runs, number / runs
        born.append(_trained(its_bench, run_of_generation(number, count), bench.terms, its_bench.plan, share))
    return born


def _trained(
    bench: Bench, run: Run, terms: tuple[ObjectiveTerm, ...], plan: Plan, share: tuple[float, float]
) -> Outcome:
    """Return a run's outcome: kept from an earlier attempt, or trained to its end."""
    outcomes = Outcomes(bench.folder / "cache", bench.fingerprint)
    try:
        kept = outcomes.load(run)
    except Corrupt:
        kept = None
        bench.reporter.report(Notice(text=f"The finished {run} in the cache is damaged: it is trained again."))
    if kept:
        return kept
    training = bench.training_run(run, terms, plan, share)
    outcome = outcome_of(training.state, training.train())
    outcomes.save(run, outcome, training.state.curves)
    bench.checkpoints.clear(run)
    return outcome


def _report(bench: Bench, born: list[Outcome], control: Outcome | None, no_control: str | None) -> Report:
    architecture, spec, student = bench.job.student.architecture, bench.job.spec, born[-1]
    scorer = Scorer(bench.evaluator, bench.targets, bench.teacher_sights, evaluated_on(bench.transfer_set))
    runs = {run_of_generation(number, len(born)): outcome for number, outcome in enumerate(born, start=1)}
    runs |= {Run.CONTROL: control} if control else {}
    networks = [_network(bench, outcome.weights) for outcome in born]
    scores = [scorer.student(network, architecture) for network in networks]
    born_again = len(born) > 1
    as_one = born_again and not bench.evaluator.embedding  # embeddings have no probabilities to take the mean of
    report = Report(
        evaluated_on=scorer.where,
        teacher=scorer.teachers(bench.teachers, [teacher.architecture for teacher in bench.job.teachers]),
        student=scores[-1],
        control=scorer.student(_network(bench, control.weights), architecture) if control else None,
        control_missing=no_control,
        generations=tuple(scores) if born_again else (),
        ensemble=scorer.ensemble(networks, architecture) if as_one else None,
        confusions=scorer.confusions(networks[-1]),
        stop_reason=student.stop_reason,
        best_epoch=student.best_epoch,
        soft_targets=bench.targets.use(),
        training_seconds={str(run): outcome.seconds for run, outcome in runs.items()},
        curves={str(run): outcome.curves for run, outcome in runs.items()},
        seed=spec.seed,
        hardware=surroundings.hardware(bench.device),
        precision=bench.precision,
        versions=surroundings.versions(),
    )
    bench.targets.flush()
    return report


def _network(bench: Bench, weights: Tensors) -> nn.Module:
    network = build.network(bench.job.student.architecture)
    network.load_state_dict(weights)
    return network.to(bench.device)


def _distilled(bench: Bench, born: list[Outcome], report: Report) -> Distilled:
    samples = bench.transfer_set.samples
    return Distilled(
        job=bench.job,
        weights=born[-1].weights,
        generations=tuple(outcome.weights for outcome in born[:-1]),
        report=report,
        teachers=tuple(teacher.sha256 for teacher in bench.teachers),
        transfer_set=bench.transfer_set.sha256,
        preprocessing=bench.preparation.of_student or (Image() if samples.kind == "image" else None),
        class_names=tuple(bench.transfer_set.class_names),
        sample_kind=samples.kind,
        sample_shape=samples.shape,
        encoding=getattr(samples, "encoding", None),
    )
