"""A job's directory, the whole interface to the engine.

JOBDIR/job.json       this file's JobFile (or InspectionFile for `python -m worker.engine.inspection JOBDIR`)
JOBDIR/inputs/        the teachers' weights, the student's first ones where they are stored, and the transfer set
JOBDIR/cache/         soft targets (or where `targets_folder` says), and the runs that are done
JOBDIR/checkpoints/   the last two, each with its SHA-256
JOBDIR/out/           what is published (`app.contract.products`): student.safetensors, its card, report.json, ...
JOBDIR/ranks/         of a job with several processes: the failures of those that do not report
JOBDIR/events.jsonl   what the engine reports (`app.contract.events`), append-only
JOBDIR/log.txt        what the engine prints
"""

from typing import Annotated, Literal

from pydantic import Field

from app.contract.architectures import Architecture
from app.contract.base import Contract
from app.contract.class_names import ClassNames, Names
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.preprocessing import Preprocessing
from app.contract.registration import Described
from app.contract.spec import JobSpec
from app.contract.students import KeyMap
from app.contract.transfer import Splits, Tensors, TransferFormat

EXIT_DONE = 0
EXIT_FAILED = 1
"""The last event is `failed` and says why."""
EXIT_OUT_OF_MEMORY = 70
"""Memory ran out where smaller micro-batches may help: the same directory goes on with one more of `halvings`."""
MOST_HALVINGS = 6
EXIT_DISK_FULL = 73
"""No room for what had to be written, perhaps not even for the event that says so: once there is, the same directory
goes on."""
EXIT_STOPPED = 75
"""SIGTERM: a checkpoint was written, and the same directory goes on from there."""
EXIT_PEER_LOST = 76
"""Of one of several processes: another one has ended before its time, whose exit says why."""
RESIDENT_BYTES = 4 * 2**30
"""A transfer set whose samples take more than this stays in its file and is read batch by batch."""


class NetworkInput(Contract):
    """A network's weights, under the user's parameter names; or an ONNX model."""

    path: str
    """Relative to the job's directory."""
    sha256: str | None = None
    architecture: Architecture
    key_map: KeyMap = Field(default_factory=dict)
    preprocessing: Preprocessing | None = None


class TeacherInput(NetworkInput):
    path: str = "inputs/teacher.safetensors"
    weight: float = Field(default=1.0, gt=0)
    """Its share in an ensemble."""
    class_names: Names = ()
    """What its outputs stand for; empty where they are what their numbers say."""


class StudentInput(Contract):
    """The network to be trained."""

    architecture: Architecture
    key_map: KeyMap = Field(default_factory=dict)
    """Names under which the student is exported: user's prefix -> family's."""
    preprocessing: Preprocessing | None = None
    """The spec's, or that of the stored model; None leaves the choice to the teacher's."""
    weights: NetworkInput | None = None
    """What training starts from, where that is a stored model."""
    class_names: Names = ()
    """What its outputs stood for as a registered model."""


class TransferSetInput(Contract):
    path: str = "inputs/transfer_set"
    sha256: str | None = None
    format: TransferFormat = Tensors()
    splits: Splits = Splits()


class JobFile(Contract):
    """`job.json`: the resolved spec and where its inputs lie."""

    version: Literal[1] = 1
    spec: JobSpec
    teachers: tuple[TeacherInput, ...] = Field(min_length=1, max_length=32)
    student: StudentInput
    transfer_set: TransferSetInput
    threads: int = Field(default=1, ge=1)
    """Of torch, in each process of the job."""
    resident_bytes: int = Field(default=RESIDENT_BYTES, ge=0)
    """Samples that take more stay in their file; it changes nothing but speed."""
    max_parameters: int | None = Field(default=None, ge=1)
    """The largest teacher or student that is built; null for no limit."""
    halvings: int = Field(default=0, ge=0, le=MOST_HALVINGS)
    """How often micro-batches are halved, because memory ran out: `accumulation` counts double for each."""
    targets_folder: str = "cache"
    """Where soft targets are kept: relative to the job's directory, or a folder that several jobs share."""


class InspectModel(Contract):
    kind: Literal["model"] = "model"
    path: str = "inputs/upload"
    architecture: Described
    key_map: KeyMap | None = None
    """None asks for an unambiguous match by order and shape."""
    preprocessing: Preprocessing | None = None
    class_names: ClassNames | None = None
    """As registered."""


class InspectDataset(Contract):
    kind: Literal["dataset"] = "dataset"
    path: str = "inputs/upload"
    format: TransferFormat
    splits: Splits


class InspectionFile(Contract):
    """`job.json` of an inspection.

    Its finding goes to `out/inspection.json`, converted weights to `out/weights.safetensors`, and what an upload that
    tells by itself what it holds turned out to be (a `Resolved`) to `out/resolved.json`.
    """

    version: Literal[1] = 1
    subject: Annotated[InspectModel | InspectDataset, Field(discriminator="kind")]
    max_parameters: int | None = Field(default=None, ge=1)
    """The largest network that is built; null for no limit."""


Inspection = ModelInspection | DatasetInspection
