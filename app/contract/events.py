"""What the engine reports: one JSON object a line in `events.jsonl`, relayed to the database and to whoever follows."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from app.contract.base import Contract
from app.contract.states import FailureCode, Phase, StopReason


class Run(StrEnum):
    """Which network is being trained."""

    STUDENT = "student"
    """The only generation, or the last one of several."""
    CONTROL = "control"
    """The same student, same seed and number of steps, on labels alone."""
    GENERATION_1 = "generation_1"
    """The first of several generations, which teaches the second."""
    GENERATION_2 = "generation_2"
    GENERATION_3 = "generation_3"
    GENERATION_4 = "generation_4"
    GENERATION_5 = "generation_5"
    GENERATION_6 = "generation_6"
    GENERATION_7 = "generation_7"
    GENERATION_8 = "generation_8"
    GENERATION_9 = "generation_9"


def run_of_generation(number: int, generations: int) -> Run:
    """Return the run that trains a generation, counted from 1."""
    return Run.STUDENT if number == generations else Run(f"generation_{number}")


def name_of(run: Run, stage: str | None) -> str:
    """Return what a training goes by in reports and metrics: its run, and its stage where it is not the main one."""
    return f"{run}.{stage}" if stage else str(run)


class _Event(Contract):
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))


class _OfTraining(_Event):
    run: Run
    stage: str | None = None
    """The name of the stage; null in the main training."""


class PhaseEntered(_Event):
    type: Literal["phase"] = "phase"
    phase: Phase
    run: Run | None = None
    stage: str | None = None


class TeacherPass(_OfTraining):
    """How far the teacher is with looking at the training part, before the training; at most one a second."""

    type: Literal["teacher_pass"] = "teacher_pass"
    samples: int
    """Those whose soft targets are there."""
    of: int


class Step(_OfTraining):
    """Metrics of training since the last report: `loss`, `loss/<term>`, `learning_rate`, `samples_per_second`."""

    type: Literal["step"] = "step"
    step: int
    """Counted from the beginning of the stage, or of the main training."""
    steps: int
    """Steps of it in all, if nothing stops it early."""
    epoch: float
    progress: float = Field(ge=0, le=1)
    """Share of the whole job that is done, control included."""
    eta_seconds: float | None = None
    """Seconds until the whole job is done, as it looks now."""
    metrics: dict[str, float]


class Evaluation(_OfTraining):
    """Metrics on a held-out split: `loss` (the objective), `agreement`, and against labels `accuracy` and `nll`."""

    type: Literal["evaluation"] = "evaluation"
    step: int
    epoch: float
    split: Literal["validation", "test"]
    metrics: dict[str, float]


class Checkpoint(_OfTraining):
    type: Literal["checkpoint"] = "checkpoint"
    step: int
    sha256: str


class Resumed(_OfTraining):
    """Training goes on from a checkpoint."""

    type: Literal["resumed"] = "resumed"
    step: int


class Notice(_Event):
    """Something that a user should know and need not act on."""

    type: Literal["notice"] = "notice"
    text: str


class Finished(_Event):
    """Everything in `out/` is complete."""

    type: Literal["finished"] = "finished"
    stop_reason: StopReason


class Failed(_Event):
    type: Literal["failed"] = "failed"
    code: FailureCode
    detail: str


EngineEvent = Annotated[
    PhaseEntered | TeacherPass | Step | Evaluation | Checkpoint | Resumed | Notice | Finished | Failed,
    Field(discriminator="type"),
]
ENGINE_EVENT: TypeAdapter[EngineEvent] = TypeAdapter(EngineEvent)
