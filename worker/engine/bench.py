"""A job's inputs on the device, checked against its spec, and what its runs share."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from app.contract import embeddings, next_tokens
from app.contract.architectures import Family
from app.contract.events import Notice, Resumed, Run
from app.contract.job_file import JobFile
from app.contract.keeping import Keeping
from app.contract.objectives import HardTarget, ObjectiveTerm
from app.contract.soft_targets import kept_classes, key_of
from app.contract.states import FailureCode
from app.contract.training import EarlyStopping
from worker.engine import build
from worker.engine.checkpoint import Checkpoints, Found
from worker.engine.data import class_order
from worker.engine.data.units import samples_at_once
from worker.engine.evaluate import Evaluator
from worker.engine.failures import EngineFailure, Refused
from worker.engine.inputs import check, load_network, load_transfer_set, without_labels
from worker.engine.networks import blueprint, key_maps, trial
from worker.engine.networks.initial import initialise
from worker.engine.parallel import random_states
from worker.engine.parallel.ranks import Ranks
from worker.engine.report import surroundings
from worker.engine.reporter import Reporter
from worker.engine.run import TrainingRun
from worker.engine.state import Tensors, TrainState, under
from worker.engine.stop import StopSignal
from worker.engine.taps.listener import Listener
from worker.engine.teachers.kept import logits_kept
from worker.engine.teachers.kept_features import Heard, KeptFeatures
from worker.engine.teachers.soft_targets import Place, SoftTargets
from worker.engine.teachers.targets import Looks, Store, Targets
from worker.engine.teachers.teacher import Ensemble, Seat, Teacher
from worker.engine.teachers.teacher_features import Ears, TeacherFeatures
from worker.engine.teachers.teacher_features import Store as FeatureStore
from worker.engine.terms.objective import Objective
from worker.engine.terms.participation import taking_part, why_not_monitored
from worker.engine.terms.settling import Settler
from worker.engine.training import memory
from worker.engine.training.lessons import Lesson, lessons_of
from worker.engine.training.outcome import Outcome
from worker.engine.training.plan import Plan, with_budget
from worker.engine.training.precision import resolve
from worker.engine.training.runtime import Runtime
from worker.engine.training.seeds import seed_all
from worker.engine.training.trace import Trace
from worker.engine.views.augmented import Views
from worker.engine.views.preparation import Preparation
from worker.engine.views.sight import Sight

_COSMETIC = {"name", "priority", "max_attempts", "labels", "export", "max_pending"}
"""Fields of a spec that change nothing in a training."""

_OF_THE_HOST = ("threads", "halvings", "resident_bytes", "max_parameters", "targets_folder")
"""Fields of a job file that change nothing in a training either."""


class Bench:
    """Everything laid out for the runs of one job. Raises EngineFailure where it does not go together."""

    def __init__(
        self, folder: Path, job: JobFile, reporter: Reporter, stop: StopSignal, ranks: Ranks | None = None
    ) -> None:
        self.folder, self.job, self.reporter, self.stop = folder, job, reporter, stop
        self.ranks = ranks or Ranks(stop)
        self.processes = self.ranks.size
        """In training: at the end one goes on alone."""
        trial.check_built(job)
        _check_export(job)
        self.looks = folder / "cache" / "looks.json"
        """Where the teachers' looks are counted."""
        self.runtime = Runtime(job.spec.max_runtime)
        self.device = build.device(job.spec.device, self.ranks.size)
        _check_ranks(job, self.ranks)
        self.precision = resolve(job.spec.training.precision, self.device)
        self.teachers = [load_network(folder, teacher, "teacher", self.device) for teacher in job.teachers]
        weights = job.student.weights
        self.stored = load_network(folder, weights, "student", self.device) if weights else None
        transfer_set = load_transfer_set(folder, job.transfer_set, self.device, job.resident_bytes)
        teachers = [teacher.architecture for teacher in job.teachers]
        embedding = embeddings.taught_by(teachers)
        unasked = embedding or next_tokens.taught_by(teachers)
        transfer_set = without_labels(transfer_set) if unasked else transfer_set
        self.transfer_set, self.class_orders = class_order.arranged(job, transfer_set)
        check(job, self.transfer_set)
        self.preparation = Preparation(job, self.transfer_set)
        self.transfer_set = self.preparation.transfer_set
        for notice in self.preparation.notices:
            self._tell(notice)
        if job.halvings:
            self._tell(memory.told(job))
        self.objectives = [self._taking_part(terms) for _, terms in job.spec.objectives]
        """The terms of each stage that take part, and those of the main training last."""
        self._check_stopping()
        self.teacher_sights, self.student_sight = self.preparation.teacher_sights, self.preparation.student_sight
        for teacher, stored, sight in zip(job.teachers, self.teachers, self.teacher_sights, strict=True):
            trial.check_teacher(teacher.architecture, stored.network, sight, self.plan)
        with memory.blamed(job):
            trial.check_student(job.student.architecture, self.student_sight, self.plan)
        classes = job.student.architecture.classes
        self.evaluator = Evaluator(
            self.transfer_set,
            self.student_sight,
            stop,
            self.ranks,
            self.plan.batch_size,
            classes,
            embedding=embedding,
            halvings=job.halvings,
        )
        made_on = surroundings.exactness(self.device, self.precision, self.ranks.size)
        self.checkpoints = Checkpoints(folder / "checkpoints", self.fingerprint, made_on)

    @cached_property
    def fingerprint(self) -> str:
        """Names the work: inputs and all settings that shape the result."""
        own = _COSMETIC | self.job.spec.unsaid()
        settings = self.job.model_dump(mode="json", exclude={**dict.fromkeys(_OF_THE_HOST, True), "spec": own})
        digests = [source.sha256 for source in (*self.teachers, *([self.stored] if self.stored else []))]
        text = json.dumps([settings, digests, self.transfer_set.sha256], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def views(self) -> Views:
        """How the runs look at the transfer set."""
        spec, transfer_set = self.job.spec, self.transfer_set
        training_N = transfer_set.rows["train"].to(self.device)
        return Views(transfer_set.samples, spec.augmentation, spec.views, spec.seed, training_N)

    @cached_property
    def targets(self) -> Targets:
        """What the teachers say of the transfer set."""
        rows, units, looks = self.transfer_set.rows, self.transfer_set.units, Looks(self.looks)

        taught = [teacher.architecture for teacher in self.job.teachers]
        top, width = kept_classes(self.job), embeddings.width_taught(taught, self.job.student.architecture.classes)

        def open_store(number: int, part: str, whole: bool, predict: Callable[[Tensor], Tensor]) -> Store:  # noqa: FBT001
            rows_N, kept = rows[part].to(self.device), None if whole or part != "train" else top
            its_units = units.within(rows_N)
            keeps = logits_kept(len(its_units), width, kept)
            where, at_once = self._place(self.targets_key(number, part, whole=whole)), samples_at_once(units, width)
            return SoftTargets(where, rows_N, keeps, predict, self.stop.check, its_units, at_once)

        predict = self._ensemble().logits
        given = rows, units, open_store, looks, self._tell, self.ranks
        return Targets(self.views, predict, *given, coarse=top is not None)

    def _place(self, key: str) -> Place:
        made_on = surroundings.exactness(self.device, "fp32")  # whatever the student computes with
        return Place(self.folder / self.job.targets_folder, key, made_on)

    def targets_key(
        self, number: int, part: str = "train", *, whole: bool = False, taps: Sequence[str] = ("logits",)
    ) -> str:
        """Return the name of what the teachers say of a part under a view; `whole`: of all classes in any case."""
        taught = zip(self.job.teachers, self.teachers, strict=True)
        teachers = tuple(source.model_copy(update={"sha256": stored.sha256}) for source, stored in taught)
        data = self.job.transfer_set.model_copy(update={"sha256": self.transfer_set.sha256})
        kept = Keeping(keep="all") if whole else self.job.spec.soft_targets
        spec = self.job.spec.model_copy(update={"soft_targets": kept})
        pinned = self.job.model_copy(update={"teachers": teachers, "transfer_set": data, "spec": spec})
        return key_of(pinned, number, part, taps)

    def _tell(self, text: str) -> None:
        self.reporter.report(Notice(text=text))

    def _ensemble(self) -> Ensemble:
        members = zip(self.teachers, self.teacher_sights, self._shares, self.class_orders, strict=True)
        seats = [
            Seat(Teacher(stored.network), sight, share, None if order is None else torch.tensor(order).to(self.device))
            for stored, sight, share, order in members
        ]
        return Ensemble(seats, self._combine)

    @property
    def _shares(self) -> list[float]:
        weights = [teacher.weight for teacher in self.job.teachers]
        return [weight / sum(weights) for weight in weights]

    @property
    def _combine(self) -> Literal["probabilities", "logits"]:
        teacher = self.job.spec.teacher
        return "probabilities" if isinstance(teacher, str) else teacher.combine

    @cached_property
    def plan(self) -> Plan:
        """The student's order of samples."""
        training, rows_N = self.job.spec.training, self.transfer_set.usable_rows["train"]
        return Plan(
            rows_N=rows_N,
            draws=len(rows_N),
            batch_size=training.batch(len(rows_N)),
            accumulation=memory.micro_batches(self.job, training.batch(len(rows_N))),
            epochs=training.epochs,
            seed=self.job.spec.seed,
            shuffle=training.shuffle,
            device=self.device,
        )

    def lessons(self, run: Run) -> list[Lesson]:
        """Return what a student is trained through, the main training last."""
        return list(lessons_of(self.job.spec, run, self.objectives, self.plan))

    def control(self) -> Lesson:
        """Return the control's training: as many steps as those that train the student, on labels alone."""
        spec, labelled = self.job.spec, self.transfer_set.labelled_rows["train"]
        plan = with_budget(replace(self.plan, epochs=spec.student_epochs), labelled)
        return Lesson(Run.CONTROL, (HardTarget(weight=1.0),), plan, spec.training.optimizer)

    def rehearse(self) -> None:
        """Raise EngineFailure where a lesson cannot be held: known before the first, and not hours later."""
        if self.job.spec.stages:
            for lesson in self.lessons(Run.STUDENT):
                self._fresh_state(lesson, None)

    def training_run(
        self, lesson: Lesson, before: Outcome | None = None, share: tuple[float, float] = (0.0, 1.0)
    ) -> TrainingRun:
        """Return a training at its start, or at its newest intact checkpoint. `before`: what the last one left."""
        training, plan = self.job.spec.training, lesson.plan
        state = self._fresh_state(lesson, before)
        found = self._resume(lesson, state)
        random_states.take_own(self.ranks, found.tensors, found.numbers, lesson.seed(self.job.spec.seed))
        return TrainingRun(
            lesson=lesson,
            settings=training,
            stopping=self._stopping(lesson),
            transfer_set=self.transfer_set,
            sight=self.student_sight,
            views=self.views,
            targets=self.targets,
            listener=self._listener(state),
            teacher_features=self._teacher_features(state.objective.teacher_taps),
            objective=state.objective,
            state=state,
            trace=Trace(state.objective.names, min(training.log_every, plan.steps), self.device),
            evaluator=self.evaluator,
            checkpoints=self.checkpoints,
            reporter=self.reporter,
            precision=self.precision,
            share=share,
            runtime=self.runtime,
            ranks=self.ranks,
        )

    def _stopping(self, lesson: Lesson) -> EarlyStopping | None:
        stopping = self.job.spec.training.early_stopping
        if stopping is None or lesson.stage:
            return None
        unseen = lesson.run is Run.CONTROL and why_not_monitored(stopping, lesson.terms, self.transfer_set)
        return None if unseen else stopping

    def _fresh_state(self, lesson: Lesson, before: Outcome | None) -> TrainState:
        # Student and control start alike: the same seed gives the same initial weights and the same dropout.
        seed_all(self.job.spec.seed)
        network = build.network(self.job.student.architecture).to(self.device)
        stored = self.stored.network if self.stored else None
        initialise(network, self.job.spec.student, stored, self.teachers[0].network)
        build.laid_out(network, self.job.student.architecture)
        if lesson.place:
            seed_all(lesson.seed(self.job.spec.seed))
        objective = build.objective(lesson.terms, self._settler(network)).to(self.device)
        if before:
            network.load_state_dict(before.weights)
            self._carry_over(lesson, objective, before.learnt)
        network.requires_grad_(not lesson.frozen)
        trained = [one for one in (*network.parameters(), *objective.parameters()) if one.requires_grad]
        if not trained:
            text = f"The stage {lesson.stage!r} trains nothing: the student is frozen, and no term learns anything."
            raise EngineFailure(FailureCode.INVALID_SPEC, text)
        optimizer = build.optimizer(lesson.optimizer, trained, self.device)
        return TrainState(network, objective, optimizer, frozen=lesson.frozen)

    def _carry_over(self, lesson: Lesson, objective: Objective, learnt: Tensors) -> None:
        """Give each loss what one of its name has learnt in an earlier lesson."""
        for name, loss in objective.losses.items():
            own, known = loss.state_dict(), under(learnt, name)
            if {key: one.shape for key, one in own.items()} == {key: one.shape for key, one in known.items()}:
                loss.load_state_dict(known)
            elif known:
                text = f"What {name} learnt in an earlier stage does not fit in {lesson.name}: it starts afresh there."
                self._tell(text)

    def _listener(self, state: TrainState) -> Listener:
        listener = Listener(self.job.student.architecture, state.network, state.objective.student_taps)
        listener.rehearse(self.student_sight.plain(self.plan.rows_N[:1].to(self.device)))
        return listener

    def _teacher_features(self, taps: Sequence[tuple[int, str]]) -> TeacherFeatures:
        ears, rows_N = Ears(taps, self._cast), self.transfer_set.rows["train"].to(self.device)
        names = [f"{member}/{name}" for member, name in taps]

        def open_store(number: int, kept: KeptFeatures, predict: Callable[[Tensor], Heard]) -> FeatureStore:
            where = self._place(self.targets_key(number, taps=names))
            return SoftTargets(where, rows_N, kept, predict, self.stop.check)

        budget = self.job.spec.soft_targets.feature_bytes
        return TeacherFeatures(ears, self.views, rows_N, open_store, budget, self.ranks)

    def _settler(self, student: nn.Module) -> Settler:
        learning = self.job.student.architecture, student, self.student_sight
        rows_N = self.transfer_set.rows["train"]
        return Settler(
            rows_N,
            self.transfer_set.classes_of_samples,
            self.job.student.architecture.classes,
            learning,
            self._cast,
            self.class_orders,
        )

    @property
    def _cast(self) -> list[tuple[Family, nn.Module, Sight]]:
        """The teachers: what they are, and how they see the set."""
        members = zip(self.job.teachers, self.teachers, self.teacher_sights, strict=True)
        return [(teacher.architecture, stored.network, sight) for teacher, stored, sight in members]

    def _resume(self, lesson: Lesson, state: TrainState) -> Found:
        found = self.checkpoints.load(lesson.name)
        if found.corrupt:
            instead = f"training goes on from step {found.numbers['step']}" if found.numbers else "training starts over"
            self.reporter.report(Notice(text=f"Checkpoints are damaged ({', '.join(found.corrupt)}): {instead}."))
        if not found.numbers:
            return found
        state.restore(found.tensors, found.numbers)
        self.reporter.report(Resumed(run=lesson.run, stage=lesson.stage, step=state.step))
        if found.elsewhere:
            text = f"The checkpoint was made on {found.elsewhere}: the student may differ in its last bits."
            self.reporter.report(Notice(text=text))
        return found

    def _taking_part(self, terms: tuple[ObjectiveTerm, ...]) -> tuple[ObjectiveTerm, ...]:
        able, notice = taking_part(terms, self.transfer_set)
        if notice:
            self._tell(notice)
        return able

    def _check_stopping(self) -> None:
        stopping = self.job.spec.training.early_stopping
        reason = why_not_monitored(stopping, self.objectives[-1], self.transfer_set) if stopping else None
        if reason:
            raise EngineFailure(FailureCode.INVALID_SPEC, reason)


def _check_export(job: JobFile) -> None:
    # At the start: a student that cannot be written under the user's names should not be trained first.
    try:
        shapes = blueprint.shapes(job.student.architecture)
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_SPEC, f"The student cannot be built. {refusal}") from refusal
    try:
        key_maps.exported(shapes, job.student.key_map)
    except Refused as refusal:
        raise EngineFailure(FailureCode.INVALID_SPEC, f"The student's key map cannot be used. {refusal}") from refusal


def _check_ranks(job: JobFile, ranks: Ranks) -> None:
    if ranks.size not in {1, job.spec.devices}:
        text = f"The job asks for {job.spec.devices} devices, and was started as {ranks.size} processes."
        raise EngineFailure(FailureCode.INVALID_SPEC, text)
