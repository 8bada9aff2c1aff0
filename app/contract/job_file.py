"""A job's directory, the whole interface to the engine.

JOBDIR/job.json       this file's JobFile (or InspectionFile for `python -m worker.engine.inspection JOBDIR`)
JOBDIR/inputs/        the teacher's weights and the transfer set
JOBDIR/cache/         soft targets, and the runs that are done
JOBDIR/checkpoints/   the last two, each with its SHA-256
JOBDIR/out/           what is published: student.safetensors, report.json, manifest.json, job.lock.json
JOBDIR/events.jsonl   what the engine reports (`app.contract.events`), append-only
JOBDIR/log.txt        what the engine prints
"""

from typing import Annotated, Literal

from pydantic import Field

from app.contract.architectures import Architecture
from app.contract.base import Contract
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.spec import JobSpec, KeyMap
from app.contract.transfer import Splits, TransferFormat

EXIT_DONE = 0
EXIT_FAILED = 1
"""The last event is `failed` and says why."""
EXIT_OUT_OF_MEMORY = 70
EXIT_STOPPED = 75
"""SIGTERM: a checkpoint was written, and the same directory goes on from there."""


class TeacherInput(Contract):
    """The teacher's weights, under the user's parameter names; or an ONNX model."""

    path: str = "inputs/teacher.safetensors"
    """Relative to the job's directory."""
    sha256: str | None = None
    architecture: Architecture
    key_map: KeyMap = Field(default_factory=dict)


class TransferSetInput(Contract):
    path: str = "inputs/transfer_set"
    sha256: str | None = None
    format: TransferFormat = TransferFormat()
    splits: Splits = Splits()


class JobFile(Contract):
    """`job.json`: the resolved spec and where its inputs lie."""

    version: Literal[1] = 1
    spec: JobSpec
    teacher: TeacherInput
    transfer_set: TransferSetInput
    student_key_map: KeyMap = Field(default_factory=dict)
    """Names under which the student is exported: user's prefix -> family's."""
    threads: int = Field(default=1, ge=1)
    max_parameters: int | None = Field(default=None, ge=1)
    """The largest teacher or student that is built; null for no limit."""


class InspectModel(Contract):
    kind: Literal["model"] = "model"
    path: str = "inputs/upload"
    architecture: Architecture
    key_map: KeyMap | None = None
    """None asks for an unambiguous match by order and shape."""


class InspectDataset(Contract):
    kind: Literal["dataset"] = "dataset"
    path: str = "inputs/upload"
    format: TransferFormat
    splits: Splits


class InspectionFile(Contract):
    """`job.json` of an inspection; its finding goes to `out/inspection.json`, converted weights to
    `out/weights.safetensors`."""

    version: Literal[1] = 1
    subject: Annotated[InspectModel | InspectDataset, Field(discriminator="kind")]
    max_parameters: int | None = Field(default=None, ge=1)
    """The largest network that is built; null for no limit."""


Inspection = ModelInspection | DatasetInspection
