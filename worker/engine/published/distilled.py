"""A student that is done, with all that its papers say of it."""

from dataclasses import dataclass
from typing import Any

from app.contract.job_file import JobFile
from app.contract.preprocessing import Preprocessing
from app.contract.report import Report
from app.contract.samples import SampleKind
from worker.engine.networks import key_maps
from worker.engine.state import Tensors


@dataclass(frozen=True)
class Distilled:
    """What a job has made, and of what."""

    job: JobFile
    weights: Tensors
    """Under the family's names."""
    generations: tuple[Tensors, ...]
    """Those before the student, the first one first; alike."""
    report: Report
    teachers: tuple[str, ...]
    """SHA-256 of each teacher's file."""
    transfer_set: str
    """SHA-256 of its file."""
    preprocessing: Preprocessing | None
    """Whole, with what it learnt from the training part."""
    class_names: tuple[str, ...]
    """Empty where classes are numbers."""
    sample_kind: SampleKind
    sample_shape: tuple[int, ...]
    """Of the transfer set's samples, without a batch axis; empty for texts."""
    encoding: list[dict[str, Any]] | None
    """Of tables: what each column became."""

    @property
    def kind(self) -> str:
        """The student's family."""
        kind: str = self.job.student.architecture.kind
        return kind

    @property
    def own_names(self) -> bool:
        """Whether the weights are exported under the family's own names."""
        return all(name == own for name, own in key_maps.exported(self.weights, self.job.student.key_map).items())
