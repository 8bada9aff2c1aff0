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
    """The same student, same seed and budget, on labels alone."""
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


class _Event(Contract):
    time: datetime = Field(default_factory=lambda: datetime.now(UTC))


class PhaseEntered(_Event):
    type: Literal["phase"] = "phase"
    phase: Phase
    run: Run | None = None


class TeacherPass(_Event):
    """How far the teacher is with looking at the training part, before the training; at most one a second."""

    type: Literal["teacher_pass"] = "teacher_pass"
    run: Run
    samples: int
    """Those whose soft targets are there."""
    of: int


class Step(_Event):
    """Metrics of training since the last report: `loss`, `loss/<term>`, `learning_rate`, `samples_per_second`."""

    type: Literal["step"] = "step"
    run: Run
    step: int
    steps: int
    """Steps of this run in all, if nothing stops it early."""
    epoch: float
    progress: float = Field(ge=0, le=1)
    """Share of the whole job that is done, control included."""
    eta_seconds: float | None = None
    """Seconds until the whole job is done, as it looks now."""
    metrics: dict[str, float]


class Evaluation(_Event):
    """Metrics on a held-out split: `loss` (the objective), `agreement`, and against labels `accuracy` and `nll`."""

    type: Literal["evaluation"] = "evaluation"
    run: Run
    step: int
    epoch: float
    split: Literal["validation", "test"]
    metrics: dict[str, float]


class Checkpoint(_Event):
    type: Literal["checkpoint"] = "checkpoint"
    run: Run
    step: int
    sha256: str


class Resumed(_Event):
    """Training goes on from a checkpoint."""

    type: Literal["resumed"] = "resumed"
    run: Run
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
