"""One job from its inputs to what it publishes: student, control, report, files."""

from pathlib import Path

import torch
from torch import nn

from app.contract.events import Finished, Notice, PhaseEntered, Run, run_of_generation
from app.contract.job_file import JobFile
from app.contract.preprocessing import Image
from app.contract.report import Report
from app.contract.states import Phase, StopReason
from worker.engine import build
from worker.engine.bench import Bench
from worker.engine.checkpoint import Corrupt
from worker.engine.data.samples import Inputs
from worker.engine.parallel.ranks import Ranks
from worker.engine.published import onnx_export, publication
from worker.engine.published.distilled import Distilled
from worker.engine.report import surroundings
from worker.engine.report.scores import Scorer, evaluated_on
from worker.engine.reporter import Reporter
from worker.engine.state import Tensors
from worker.engine.stop import StopSignal
from worker.engine.training import generations
from worker.engine.training.lessons import Lesson, Progress
from worker.engine.training.outcome import Outcome, Outcomes, learnt_by, outcome_of


def run_job(folder: Path, job: JobFile, reporter: Reporter, stop: StopSignal, ranks: Ranks | None = None) -> None:
    """Train, evaluate and publish into `out/`. Raises EngineFailure, Stopped or PeerLost."""
    bench = Bench(folder, job, reporter, stop, ranks)
    if job.spec.export.onnx:
        # Before anything is trained: what the exporter cannot do should not be found out hours later.
        onnx_export.export(build.network(job.student.architecture), _real_inputs(bench))
    bench.rehearse()
    no_control = _why_no_control(bench)
    control = () if no_control else (bench.control(),)
    lessons = (*bench.lessons(Run.STUDENT) * job.spec.generations, *control)
    progress = Progress(sum(lesson.plan.steps for lesson in lessons))
    trained = _generations(bench, progress)
    for lesson in control:
        if bench.runtime.over or (found := _trained(bench, lesson, None, progress)).stop_reason == _TIME_IS_UP:
            no_control = "max_runtime was reached before the control was trained."
        else:
            trained[lesson.name] = found
    if not bench.ranks.leave():
        return
    born = [trained[run_of_generation(number, job.spec.generations)] for number in range(1, job.spec.generations + 1)]
    reporter.report(PhaseEntered(phase=Phase.EVALUATING))
    report = _report(bench, born, trained, no_control)
    stop.check()
    reporter.report(PhaseEntered(phase=Phase.EXPORTING))
    onnx, report = _as_onnx(bench, born[-1], report) if job.spec.export.onnx else (None, report)
    publication.publish(folder, _distilled(bench, born, report), onnx)
    reporter.report(Finished(stop_reason=born[-1].stop_reason))


_TIME_IS_UP = StopReason.MAX_RUNTIME
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


def _generations(bench: Bench, progress: Progress) -> dict[str, Outcome]:
    """Return the outcomes of every generation's lessons by their names; the last one is the student's."""
    count, found = bench.job.spec.generations, dict[str, Outcome]()
    for number in range(1, count + 1):
        weights = found[run_of_generation(number - 1, count)].weights if found else None
        its_bench = generations.taught_by(bench, weights, number) if weights else bench
        before = None
        for lesson in its_bench.lessons(run_of_generation(number, count)):
            found[lesson.name] = before = _trained(its_bench, lesson, before, progress)
    return found


def _trained(bench: Bench, lesson: Lesson, before: Outcome | None, progress: Progress) -> Outcome:
    """Return a lesson's outcome: kept from an earlier attempt, or trained to its end."""
    outcomes, share = Outcomes(bench.folder / "cache", bench.fingerprint), progress.share(lesson.plan.steps)
    try:
        kept = outcomes.load(lesson.name)
    except Corrupt:
        kept = None
        bench.reporter.report(Notice(text=f"The finished {lesson.name} in the cache is damaged: it is trained again."))
    if kept:
        bench.runtime.spend(kept.seconds)
        return kept
    training = bench.training_run(lesson, before, share)
    reason = training.train()
    learnt = learnt_by(training.state, before) if lesson.stage else {}  # after the main training nothing goes on
    outcome = outcome_of(training.state, reason, learnt)
    if bench.ranks.leads:
        outcomes.save(lesson.name, outcome, training.state.curves)
        bench.checkpoints.clear(lesson.name)
    bench.ranks.wait()
    if not bench.ranks.leads:
        outcome = outcomes.load(lesson.name) or outcome  # all go on from what the leader has kept
    bench.runtime.spend(outcome.seconds)
    return outcome


def _report(bench: Bench, born: list[Outcome], trained: dict[str, Outcome], no_control: str | None) -> Report:
    architecture, spec, student = bench.job.student.architecture, bench.job.spec, born[-1]
    scorer = Scorer(bench.evaluator, bench.targets, bench.teacher_sights, evaluated_on(bench.transfer_set))
    control = trained.get(Run.CONTROL)
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
        training_seconds={name: outcome.seconds for name, outcome in trained.items()},
        curves={name: outcome.curves for name, outcome in trained.items()},
        seed=spec.seed,
        hardware=surroundings.hardware(bench.device, bench.processes),
        peak_memory=surroundings.peak_memory(bench.device),
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
