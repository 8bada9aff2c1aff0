"""The job spec: everything a user says about one distillation job."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from app.contract.architectures import Architecture, Family
from app.contract.base import Contract
from app.contract.objectives import HardTarget, ObjectiveTerm, SoftTarget
from app.contract.schedules import extremes
from app.contract.training import Training

ModelId = Annotated[str, StringConstraints(pattern=r"^mdl_[0-9a-f]{32}$")]
DatasetId = Annotated[str, StringConstraints(pattern=r"^ds_[0-9a-f]{32}$")]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
LabelText = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Labels = Annotated[dict[LabelText, LabelText], Field(max_length=32)]
KeyMap = Annotated[dict[str, str], Field(max_length=10_000)]
"""Parameter-name prefixes: the user's -> the family's."""


class Student(Contract):
    """The network to be trained."""

    architecture: Architecture
    key_map: KeyMap | None = None
    """Names under which the student comes back (user's prefix -> family's); by default the teacher's map where the
    families are the same. `{}` keeps the family's own names."""

    @field_validator("architecture")
    @classmethod
    def _can_be_trained(cls, architecture: Family) -> Family:
        if not architecture.trainable:
            raise ValueError(
                f"an {architecture.title} is a black box that can teach and cannot be trained: a student "
                "is a network of another kind"
            )
        return architecture


class JobSpec(Contract):
    """A distillation job: teacher, student, transfer set, objective, training."""

    name: Name | None = None
    teacher: ModelId
    student: Student
    transfer_set: DatasetId
    objective: tuple[ObjectiveTerm, ...] = Field(
        default=(SoftTarget(weight=0.9), HardTarget(weight=0.1)), max_length=32
    )
    """Terms that are added up, each times its weight. By default 0.9 soft targets and 0.1 hard targets; without labels
    the hard targets take no part."""
    training: Training = Training()
    control: bool = True
    """Also train the same student on labels alone, so that the report can say what the teacher was worth."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a CUDA device where the worker has one."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Jobs of higher priority are taken first."""
    max_attempts: int = Field(default=3, ge=1, le=20)
    """Times that a job may lose its worker before it fails."""
    labels: Labels = Field(default_factory=dict)
    """Key-value pairs of your own, to find the job by."""

    @field_validator("objective")
    @classmethod
    def _weighs_something(cls, terms: tuple[ObjectiveTerm, ...]) -> tuple[ObjectiveTerm, ...]:
        if not terms:
            raise ValueError("the objective has no terms: nothing would be learnt")
        if all(max(extremes(term.weight)) == 0 for term in terms):
            raise ValueError("the weights sum to 0: nothing would be learnt; give a term a weight above 0")
        return terms
