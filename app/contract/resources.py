"""What the service answers: the resources, as JSON over HTTP and as the Python client's results."""

from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.contract.class_names import ClassNames, Names
from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.objectives import Branch
from app.contract.objectives.feature_term import Joins
from app.contract.preprocessing import Preprocessing
from app.contract.products import ArtifactKind
from app.contract.registration import Described, HuggingFace
from app.contract.spec import JobSpec, Labels, Name
from app.contract.states import BlockedBy, FailureCode, InspectionState, JobState, Phase, StopReason
from app.contract.students import KeyMap
from app.contract.taps import Layout
from app.contract.transfer import Splits, Tensors, TransferFormat


class Resource(BaseModel):
    """Answers tolerate fields they do not know, so that an older client can talk to a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True, protected_namespaces=())


Item = TypeVar("Item")


class Page(Resource, Generic[Item]):
    """A part of a list, newest first."""

    data: list[Item]
    has_more: bool
    next_cursor: str | None
    """Give it as `cursor` to get the next part."""


class ProblemDocument(Resource):
    """An error (RFC 9457, application/problem+json)."""

    type: str
    """Where the code is explained, relative to the URL that was asked for."""
    title: str
    status: int
    detail: str
    code: str
    """Stable, for programs."""
    help: str = ""
    """What to do about it; `type` is a page that says more."""
    request_id: str
    errors: list[Problem] = Field(default_factory=list)


class File(Resource):
    """An uploaded file."""

    id: str
    name: str
    size: int
    """Bytes."""
    sha256: str
    pinned: bool = False
    """Retention leaves it alone."""
    created_at: datetime


class FileChange(BaseModel):
    """What may be changed of a file."""

    model_config = ConfigDict(extra="forbid")

    pinned: bool | None = None


class Upload(Resource):
    """A file on its way in, in as many requests as it takes (tus 1.0.0)."""

    id: str
    name: str
    size: int
    """Bytes of the whole file."""
    offset: int
    """Bytes that are here; go on from there."""
    sha256: str | None
    """As announced; compared at the end."""
    file: str | None
    """The file that came of it, once it is whole."""
    expires_at: datetime
    """Until then it can be gone on with; every request that adds to it moves this on."""
    created_at: datetime


class ModelCreate(BaseModel):
    """Registers uploaded weights as a network of an architecture, or the student of a job."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    file: str | None = Field(default=None, pattern=r"^file_[0-9a-f]{32}$")
    """The uploaded weights: .safetensors, a state dict saved by torch.save, an ONNX model, or a Hugging Face folder in
    an archive."""
    job: str | None = Field(default=None, pattern=r"^job_[0-9a-f]{32}$")
    """Instead of a file: the job whose student this is. It may still be queued or running: the model is `awaited` until
    then, and jobs that name it wait. So jobs feed jobs: a teacher assistant (Mirzadeh et al. 2020), the next generation
    of a born-again network (Furlanello et al. 2018)."""
    architecture: Described | None = None
    """Of the file's weights; `{kind: huggingface}` for a Hugging Face folder, which brings its own together with its
    tokenizer. A job's student has its own too."""
    key_map: KeyMap | None = None
    """Renames parameter prefixes (yours -> the family's). Left out, an unambiguous match by shape is found."""
    preprocessing: Preprocessing | None = None
    """How the network reads texts (a tokenizer, or words with the vocabulary that it was trained with) or which pixels
    it takes (`image`: mean, std, size). Left out, it is what the file of a student made here says itself."""
    class_names: ClassNames | None = None
    """What the outputs stand for, in their order. Jobs then go by names: a transfer set may have the same classes in
    another order, or fewer of them. Left out, classes are what their numbers say."""
    name: Name | None = None

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if (self.file is None) == (self.job is None):
            raise ValueError("a model is made of either a file or a job")
        if self.file and self.architecture is None:
            raise ValueError("the architecture of the file's weights is missing")
        if isinstance(self.architecture, HuggingFace) and self.key_map is not None:
            raise ValueError("a Hugging Face folder has the library's own names: leave key_map out")
        if self.job and (self.architecture or self.key_map is not None or self.class_names):
            text = "leave architecture, key_map and class_names out"
            raise ValueError(f"a job's student has its own architecture and names: {text}")
        return self


class Model(Resource):
    """A registered network."""

    id: str
    name: str
    file: str | None
    """Null while the job that makes the model is not over."""
    job: str | None = None
    """The job whose student it is."""
    architecture: Described
    """Of a Hugging Face folder `huggingface` until it is inspected, and then what its config.json says."""
    key_map: KeyMap | None
    preprocessing: Preprocessing | None = None
    class_names: Names = ()
    """What the outputs stand for; empty where they are what their numbers say, or not known yet."""
    state: InspectionState
    inspection: ModelInspection | None
    pinned: bool = False
    """Retention leaves it, and its file, alone."""
    version: int
    created_at: datetime


class DatasetCreate(BaseModel):
    """Registers an uploaded file as a transfer set."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    file: str = Field(pattern=r"^file_[0-9a-f]{32}$")
    format: TransferFormat = Tensors()
    splits: Splits = Splits()
    name: Name | None = None


class Dataset(Resource):
    """A registered transfer set."""

    id: str
    name: str
    file: str
    format: TransferFormat
    splits: Splits
    state: InspectionState
    inspection: DatasetInspection | None
    pinned: bool = False
    """Retention leaves it, and its file, alone."""
    version: int
    created_at: datetime


class RegisteredChange(BaseModel):
    """What may be changed of a model or a transfer set."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    pinned: bool | None = None


class Failure(Resource):
    code: FailureCode
    detail: str
    help: str = ""
    """What to do about it; `/errors/{code}` is a page that says more."""


class Job(Resource):
    """A distillation job."""

    id: str
    name: str | None
    state: JobState
    phase: Phase | None
    progress: float
    """0 to 1, control student included."""
    eta_seconds: float | None
    queue_position: int | None
    """1 = next; null where the job does not wait."""
    blocked_by: BlockedBy | None
    attempt: int
    max_attempts: int
    stop_reason: StopReason | None
    failure: Failure | None
    priority: int
    labels: Labels
    spec: JobSpec
    spec_hash: str
    pinned: bool = False
    """Retention leaves it, and what it names, alone."""
    cloned_from: str | None = None
    """The job whose spec this one submitted again."""
    retry_of: str | None = None
    """The job that did not succeed and that this one tries again."""
    version: int
    expires_at: datetime | None = None
    """When a job with `max_pending` ends as `expired`, unless a worker has taken it by then."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobClone(BaseModel):
    """What may be different of a job's clone."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: Name | None = None
    """Left out, the job's own."""


class JobChange(BaseModel):
    """What may be changed of a job."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    priority: int | None = Field(default=None, ge=-100, le=100)
    labels: Labels | None = None
    pinned: bool | None = None


class Estimate(Resource):
    """What a job will need, roughly."""

    memory_bytes: int
    """Of all its processes together, one for each of its `devices`."""
    disk_bytes: int
    seconds_on_one_core: float
    """From operation counts at an assumed 5 GFLOP/s and 0.4 ms a step; a GPU or a faster core takes less."""
    optimizer_steps: int
    teacher_parameters: int
    student_parameters: int


class Validation(Resource):
    """A job spec, checked as a submission would check it."""

    valid: bool
    errors: list[Problem]
    warnings: list[Problem]
    spec: JobSpec | None
    """The spec with every default filled in."""
    spec_hash: str | None
    estimate: Estimate | None


class JobEvent(Resource):
    """One entry of a job's history; `seq` counts up from 1 without a gap."""

    seq: int
    type: str
    """job.queued, job.state, job.terminal, or an engine event: phase, step, evaluation, checkpoint, resumed, notice."""
    attempt: int
    time: datetime
    data: dict[str, Any]


class Series(Resource):
    """One metric of one run over optimiser steps."""

    name: str
    """`<run>/<metric>`, evaluation metrics with the split in between: `student/validation/accuracy`. Of a stage:
    `student.<stage>/<metric>`."""
    steps: list[int]
    values: list[float]


class Metrics(Resource):
    series: list[Series]


class Artifact(Resource):
    """A published file of a finished job."""

    id: str
    job: str
    kind: ArtifactKind
    name: str
    size: int
    sha256: str
    media_type: str
    created_at: datetime


class Part(Resource):
    """The state of one thing that the service stands on."""

    ok: bool
    detail: str


class Readiness(Resource):
    ready: bool
    parts: dict[str, Part]


class Parameter(Resource):
    """A field of a method."""

    name: str
    default: Any
    description: str


class CatalogEntry(Resource):
    """One method, family, format, schedule or optimiser."""

    kind: str
    title: str
    description: str
    formula: str | None = None
    paper: str | None = None
    needs: list[str] = Field(default_factory=list)
    json_schema: dict[str, Any]


class CatalogMethod(CatalogEntry):
    """A term that an objective can have."""

    branch: Branch
    """What of the teacher it carries over."""
    reads: list[Layout] = Field(default_factory=list)
    """The layouts of taps that it compares; empty where it looks at outputs."""
    joins: Joins | None = None
    """What it needs of a pair of taps; null where it looks at outputs."""
    relational: bool
    """Whether it relates the samples of a batch to one another."""
    top_k: bool
    """Whether it can work with the teacher's most probable classes alone (`soft_targets.keep`)."""
    distributions: bool
    """Whether it takes outputs for distributions over classes, which embeddings are not."""
    parameters: list[Parameter]
    """Its own fields, with their defaults; those of every term are `weight` and `on`."""


class Catalog(Resource):
    """Everything a spec can name."""

    objectives: list[CatalogMethod]
    architectures: list[CatalogEntry]
    transfer_sets: list[CatalogEntry]
    preprocessing: list[CatalogEntry]
    augmentations: list[CatalogEntry]
    views: list[CatalogEntry]
    schedules: list[CatalogEntry]
    optimizers: list[CatalogEntry]
