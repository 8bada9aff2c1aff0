"""The job spec: everything a user says about one distillation job."""

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from app.contract.augmentations import AugmentationStep
from app.contract.base import Contract
from app.contract.exports import Exports
from app.contract.keeping import Keeping
from app.contract.objectives import HardTarget, ObjectiveTerm, SoftTarget
from app.contract.stages import Stage, refusal, weighing_something
from app.contract.students import Student
from app.contract.teachers import Teacher
from app.contract.training import Training
from app.contract.views import Fresh, Views

MOST_DEVICES = 16
DatasetId = Annotated[str, StringConstraints(pattern=r"^ds_[0-9a-f]{32}$")]
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    Field(json_schema_extra={"pattern": r"\S"}),  # what is left of spaces alone has no character
]
LabelText = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Labels = Annotated[dict[LabelText, LabelText], Field(max_length=32)]


class JobSpec(Contract):
    """A distillation job: teacher, student, transfer set, objective, training."""

    name: Name | None = None
    teacher: Teacher
    """A registered model, or an ensemble of several."""
    student: Student
    transfer_set: DatasetId
    objective: tuple[ObjectiveTerm, ...] = Field(
        default=(SoftTarget(weight=0.9), HardTarget(weight=0.1)), max_length=32
    )
    """Terms that are added up, each times its weight. By default 0.9 soft targets and 0.1 hard targets; without labels
    the hard targets take no part."""
    stages: tuple[Stage, ...] = Field(default=(), max_length=8)
    """Trainings before that of `objective`, one after the other, each with terms and epochs of its own: for methods
    whose paper trains in several stages. Each generation goes through all of them."""
    augmentation: tuple[AugmentationStep, ...] = Field(default=(), max_length=16)
    """Steps from a sample to the view of it that teacher and student train on, in this order; none: the sample as it
    is. Evaluation always looks at the samples as they are."""
    views: Views = Fresh()
    """How many views of each sample there are; without augmentation there is but one."""
    soft_targets: Keeping = Keeping()
    """How much of what the teacher says is kept."""
    training: Training = Training()
    generations: int = Field(default=1, ge=1, le=10)
    """How often the student is born again (Furlanello et al. 2018, arXiv:1805.04770): the teacher teaches the first
    generation, and each generation the next, from fresh weights of a seed of its own, with the same objective and
    budget. The last one is the student; all of them together, an ensemble, stand in the report."""
    control: bool = True
    """Also train the same student on labels alone, so that the report can say what the teacher was worth. It makes as
    many steps as the student in all stages that train it."""
    export: Exports = Exports()
    """What is published beside the weights and the report."""
    seed: int = Field(default=0, ge=0, lt=2**32)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a CUDA device where the worker has one."""
    devices: int = Field(default=1, ge=1, le=MOST_DEVICES)
    """How many devices of one host the job takes, all at once. Each learns from its share of every batch, which is cut
    into micro-batches for that, as many for each device: the gradients stay those of the whole batch. A worker without
    CUDA runs as many processes in one of its slots."""
    priority: int = Field(default=0, ge=-100, le=100)
    """Jobs of higher priority are taken first."""
    max_attempts: int = Field(default=3, ge=1, le=20)
    """Times that a job may lose its worker before it fails."""
    max_runtime: float | None = Field(default=None, gt=0)
    """Seconds that the job may train, in all attempts together, teacher pass and validation included. When they are up,
    the student as far as it has come is evaluated and published. The control gets what the student leaves of them, and
    is left out where that is too little. None: as long as it takes."""
    max_pending: float | None = Field(default=None, gt=0)
    """Seconds that the job may wait for a worker, each time that it is queued; then it is `expired`. None: as long as
    the service lets it."""
    labels: Labels = Field(default_factory=dict)
    """Key-value pairs of your own, to find the job by."""

    @field_validator("objective")
    @classmethod
    def _weighs_something(cls, terms: tuple[ObjectiveTerm, ...]) -> tuple[ObjectiveTerm, ...]:
        return weighing_something(terms)

    @field_validator("stages")
    @classmethod
    def _follow_one_another(cls, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
        if reason := refusal(stages):
            raise ValueError(reason)
        return stages

    @field_validator("generations")
    @classmethod
    def _are_born_fresh(cls, generations: int, info: ValidationInfo) -> int:
        student = info.data.get("student")
        if generations > 1 and student is not None and student.start().kind != "fresh":
            raise ValueError(
                "every generation starts from fresh weights, and this student from others: set student.initial to "
                "{kind: fresh}"
            )
        return generations

    @field_validator("max_runtime")
    @classmethod
    def _stops_one_student(cls, seconds: float | None, info: ValidationInfo) -> float | None:
        if seconds is not None and info.data.get("generations", 1) > 1:
            raise ValueError(
                "a later generation would be cut short, and it is the student: bound generations by training.epochs"
            )
        return seconds

    @field_validator("devices")
    @classmethod
    def _share_a_batch(cls, devices: int, info: ValidationInfo) -> int:
        training = info.data.get("training")
        if training and training.batch_size and (reason := training.refuses_devices(devices, training.batch_size)):
            raise ValueError(reason)
        return devices

    @model_validator(mode="after")
    def _learns_from_what_is_kept(self) -> Self:
        if reason := self.soft_targets.refuses(self.terms):
            raise ValueError(reason)
        return self

    def unsaid(self) -> set[str]:
        """Return fields younger than hashes of specs, where they say nothing: left out, older hashes hold."""
        return {"devices"} if self.devices == 1 else set()

    @property
    def micro_batches(self) -> int:
        """Into how many parts each batch is cut: at least `accumulation`, and as many for each device."""
        return ceil(self.training.accumulation / self.devices) * self.devices

    @property
    def objectives(self) -> tuple[tuple[str, tuple[ObjectiveTerm, ...]], ...]:
        """The terms of each stage and, last, of the main objective, with their JSON pointer."""
        staged = [(f"/stages/{place}/objective", stage.objective) for place, stage in enumerate(self.stages)]
        return (*staged, ("/objective", self.objective))

    @property
    def pointed_terms(self) -> tuple[tuple[str, ObjectiveTerm], ...]:
        """The terms of all objectives, each with its JSON pointer."""
        return tuple((f"{at}/{place}", term) for at, terms in self.objectives for place, term in enumerate(terms))

    @property
    def terms(self) -> tuple[ObjectiveTerm, ...]:
        """The terms of all objectives."""
        return tuple(term for _, term in self.pointed_terms)

    @property
    def epochs(self) -> int:
        """Epochs of all stages and of the main training."""
        return sum(stage.epochs for stage in self.stages) + self.training.epochs

    @property
    def student_epochs(self) -> int:
        """Those of them in which the student learns: the control's budget."""
        return sum(stage.epochs for stage in self.stages if stage.trains == "all") + self.training.epochs

    @field_validator("augmentation")
    @classmethod
    def _mixes_once(cls, steps: tuple[AugmentationStep, ...]) -> tuple[AugmentationStep, ...]:
        if sum(step.mixes for step in steps) > 1:
            raise ValueError("only one step may mix samples (mixup or cutmix): a label has two parts, not four")
        return steps
