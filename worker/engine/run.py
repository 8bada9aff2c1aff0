"""The loop. It adds up named losses and knows no method by name. B = batch, U = its units (samples, or words)."""

import math
import time
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from app.contract.events import Checkpoint, Evaluation, PhaseEntered, Step, TeacherPass
from app.contract.states import Phase, StopReason
from app.contract.training import EarlyStopping, Training
from worker.engine.checkpoint import Checkpoints
from worker.engine.data.samples import Inputs
from worker.engine.evaluate import Evaluator, metrics
from worker.engine.failures import Stopped
from worker.engine.inputs import TransferSet
from worker.engine.parallel import random_states, steps
from worker.engine.parallel.ranks import Ranks
from worker.engine.reporter import Reporter
from worker.engine.state import TrainState
from worker.engine.taps.listener import Features, Listener
from worker.engine.teachers.kept import Kept
from worker.engine.teachers.targets import Targets
from worker.engine.teachers.teacher_features import TeacherFeatures
from worker.engine.teachers.top_k import TopK
from worker.engine.terms.batch import Batch
from worker.engine.terms.held import Held
from worker.engine.terms.objective import Objective
from worker.engine.training import early_stopping
from worker.engine.training.lessons import Lesson
from worker.engine.training.plan import Plan
from worker.engine.training.precision import Precision, autocast
from worker.engine.training.runtime import Runtime
from worker.engine.training.trace import Trace, non_finite, nothing_to_learn
from worker.engine.views.augmented import Blend, Look, Views, labelled
from worker.engine.views.sight import Sight

_TOLD_SECONDS = 1.0
"""Between two reports of a teacher pass."""


@dataclass
class TrainingRun:
    """One lesson of a network: everything it works with."""

    lesson: Lesson
    settings: Training
    stopping: EarlyStopping | None
    transfer_set: TransferSet
    sight: Sight
    """As this network sees the set."""
    views: Views
    targets: Targets
    listener: Listener
    """The network, with the taps that the objective compares."""
    teacher_features: TeacherFeatures
    objective: Objective
    state: TrainState
    trace: Trace
    evaluator: Evaluator
    checkpoints: Checkpoints
    reporter: Reporter
    precision: Precision
    share: tuple[float, float]
    """The part of the job's progress that is this lesson's: where it begins and ends."""
    runtime: Runtime
    """What earlier lessons have left of the job's time."""
    ranks: Ranks
    """The processes that make the same steps, each on its share of every batch."""
    phase: Phase | None = None
    since: float = field(default_factory=time.monotonic)
    """Up to when time is counted."""
    saved: float = field(default_factory=time.monotonic)
    """When the last checkpoint was written."""
    told: float = field(default_factory=time.monotonic)
    """When the teacher pass was last reported."""
    samples: int = 0
    """Drawn since the last report."""
    window: float = 0.0
    """Seconds of training since the last report."""

    def train(self) -> StopReason:
        """Train to the last epoch, until early stopping, or until time is up. Raises Stopped after a checkpoint."""
        self.state.set_modes()
        self.since = time.monotonic()
        reason = StopReason.COMPLETED
        try:
            while self.state.epoch < self.plan.epochs:
                if self.stopping and self.ranks.any(early_stopping.exhausted(self.stopping, self.state)):
                    reason = StopReason.EARLY_STOP
                    break
                whole = self.train_epoch()
                self._close_epoch()
                if not whole:
                    reason = StopReason.MAX_RUNTIME
                    break
        except Stopped:
            self._keep()
            raise
        self._require_finite()
        self.targets.flush()
        return reason

    def train_epoch(self) -> bool:
        """Make the epoch's remaining steps, at least one; return whether there was time for all."""
        self._prepare_targets()
        for index_B in self.plan.rest_of_epoch(self.state.epoch, self.state.step):
            if self.state.step and self._time_is_up():
                break
            self.trace.add(self._step(index_B))
            self.state.step += 1
            self.samples += len(index_B)
            if self.trace.full:
                self._log()
            self.ranks.check()
        self.window += self._count_time()
        return self.state.step == (self.state.epoch + 1) * self.plan.steps_per_epoch

    def _step(self, index_B: Tensor) -> Tensor:
        position, optimizer = self.plan.position(self.state.step), self.state.optimizer
        units = self.transfer_set.units
        _set_learning_rate(optimizer, position.of(self.lesson.optimizer.learning_rate))
        labels_U, _ = self._labels(index_B)
        whole = len(labels_U), self.transfer_set.count_labelled(labels_U)
        values_K = torch.zeros(len(self.objective.names), device=self.plan.device)
        for part_B in self.ranks.share(self.plan.micro_batches(index_B)):
            look = self.views.look(part_B, self.view)
            labels_U, blend = self._labels(part_B)
            inputs = self.sight.of(look)
            with autocast(self.precision, self.plan.device):
                said_AC, held = self.listener(inputs)
            student_UC, features = units.among(part_B, said_AC), self._features(look, held, index_B)
            said = self._teacher(look)
            teacher_UC, top = (None, said) if isinstance(said, TopK) else (said, None)
            asked = partial(self._ask, part_B, inputs)
            batch = Batch(student_UC.float(), teacher_UC, labels_U, *whole, position, blend, top, features, asked)
            loss, share_K = self.objective(batch)
            if not loss.requires_grad:
                raise nothing_to_learn(self.objective.names[:-1])
            loss.backward()
            values_K += share_K
        steps.bring_together(self.ranks, self._parameters, values_K, self._statistics)
        if self.settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self._parameters, self.settings.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.objective.stepped(self.ranks.gather)
        return values_K

    def _ask(self, index_B: Tensor, inputs: Inputs, network: nn.Module) -> Tensor:
        with autocast(self.precision, self.plan.device):
            said_AC = network(inputs)
        return self.transfer_set.units.among(index_B, said_AC).float()

    def _labels(self, index_B: Tensor) -> tuple[Tensor, Blend | None]:
        blend = self.views.blend(index_B, self.view, self.transfer_set.labels_N)
        return labelled(self.transfer_set.labels_of(index_B), blend), blend

    def _teacher(self, look: Look) -> Kept | None:
        if not self.objective.needs_outputs:
            return None
        return self.targets.of_training(look, self.teacher_features.said(look))

    def _features(self, look: Look, held: Features, index_B: Tensor) -> Held | None:
        if not self.objective.student_taps:
            return None
        labels_of = self.transfer_set.labels_of_samples
        whole = len(index_B), self.transfer_set.count_labelled(labels_of(index_B))
        return Held(held, self.teacher_features.of(look), look.rows_B, labels_of(look.rows_B), *whole)

    def _close_epoch(self) -> None:
        self.targets.flush()
        self.state.settle()
        if len(self.transfer_set.rows["validation"]):
            found = self._evaluate()
            if self.stopping is not None:
                early_stopping.observe(self.stopping, self.state, found)
        self.state.epoch += 1
        self._count_time()
        if self.ranks.any(time.monotonic() - self.saved >= self.settings.checkpoint_seconds):
            self._keep()

    def _evaluate(self) -> dict[str, float]:
        student_NC = self.evaluator.logits(self.state.network, "validation")
        teacher_NC = self.evaluator.collect(self.targets.of_samples, "validation")
        labels_N = self.evaluator.labels("validation")
        step, position = self.state.step, self.plan.position(self.state.step)
        found = metrics(self.objective, student_NC, teacher_NC, labels_N, position, embedding=self.evaluator.embedding)
        if not math.isfinite(found.get("loss", 0.0)):
            self._require_finite()
            raise non_finite(step, "loss on the validation split", found["loss"])
        self.state.curves.add(step, found, prefix="validation/")
        self.reporter.report(
            Evaluation(
                run=self.lesson.run,
                stage=self.lesson.stage,
                step=step,
                epoch=position.epoch,
                split="validation",
                metrics=found,
            )
        )
        return found

    def _log(self) -> None:
        if not len(self.trace):
            return
        self.window += self._count_time()
        count, step = len(self.trace), self.state.step
        means = self.trace.drain(step)
        found = {name if name == "loss" else f"loss/{name}": value for name, value in means.items()}
        found["learning_rate"] = float(self.state.optimizer.param_groups[0]["lr"])
        self.state.curves.add(step, found)
        found["samples_per_second"] = self.samples / max(self.window, 1e-9)
        begin, end = self.share
        a_step = (end - begin) / self.plan.steps
        progress = begin + a_step * step
        eta = (
            (1 - progress) * self.window / (a_step * count)
        )  # as if the rest went like the steps since the last report
        self.samples, self.window = 0, 0.0
        self.reporter.report(
            Step(
                run=self.lesson.run,
                stage=self.lesson.stage,
                step=step,
                steps=self.plan.steps,
                epoch=self.plan.position(step).epoch,
                progress=progress,
                eta_seconds=round(min(eta, max(self._seconds_left(), 0.0)), 1),
                metrics=found,
            )
        )

    def _keep(self) -> None:
        """Write a checkpoint, never one with numbers that are not finite."""
        self._require_finite()
        self.targets.flush()
        lesson, step = self.lesson, self.state.step
        tensors, numbers = random_states.of_others(self.ranks)
        self.saved = time.monotonic()
        if not self.ranks.leads:
            return
        kept = {**self.state.tensors(), **tensors}, {**self.state.numbers(), **numbers}
        sha256 = self.checkpoints.save(lesson.name, step, *kept)
        self.saved = time.monotonic()
        self.reporter.report(Checkpoint(run=lesson.run, stage=lesson.stage, step=step, sha256=sha256))

    def _require_finite(self) -> None:
        self._log()
        for name, tensor in (*self.state.network.state_dict().items(), *self.objective.named_parameters()):
            if not torch.isfinite(tensor).all():
                raise non_finite(self.state.step, f"gradient of the weights {name}", float("nan"))

    def _prepare_targets(self) -> None:
        """Let the teacher look at all that this epoch shows, once; with fresh views it looks at each batch."""
        if self.objective.needs_outputs and self.ranks.any(not self.targets.complete(self.view)):
            self._enter(Phase.TEACHER_PASS)
            if not self.targets.comes_again(self.view):
                return
            self.targets.fill(self.view, self._looked)
        if self.ranks.any(not self.teacher_features.complete(self.view)):
            self._enter(Phase.TEACHER_PASS)
            self.teacher_features.fill(self.view, self._looked)
        self._count_time()
        self._enter(Phase.TRAINING)

    def _looked(self, samples: int) -> None:
        now = time.monotonic()
        if now - self.told >= _TOLD_SECONDS:
            self.told = now
            whole = len(self.transfer_set.rows["train"])
            lesson = self.lesson
            self.reporter.report(TeacherPass(run=lesson.run, stage=lesson.stage, samples=samples, of=whole))

    def _enter(self, phase: Phase) -> None:
        if phase != self.phase:
            self.reporter.report(PhaseEntered(phase=phase, run=self.lesson.run, stage=self.lesson.stage))
            self.phase = phase

    def _time_is_up(self) -> bool:
        return self.runtime.limited and self.ranks.any(self._seconds_left() <= 0)

    def _seconds_left(self) -> float:
        return self.runtime.left - self.state.seconds - (time.monotonic() - self.since)

    def _count_time(self) -> float:
        now = time.monotonic()
        elapsed, self.since = now - self.since, now
        self.state.seconds += elapsed
        return elapsed

    @property
    def plan(self) -> Plan:
        return self.lesson.plan

    @property
    def view(self) -> int:
        """The number of the view that this epoch sees."""
        return self.views.number(self.plan.first_epoch + self.state.epoch)

    @cached_property
    def _statistics(self) -> list[Tensor]:
        return [] if self.ranks.size == 1 else steps.statistics(self.state.network, self.objective)

    @cached_property
    def _parameters(self) -> list[Tensor]:
        return [tensor for group in self.state.optimizer.param_groups for tensor in group["params"]]


def _set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
