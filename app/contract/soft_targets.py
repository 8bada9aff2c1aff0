"""Under which name soft targets are kept: those of one part of a transfer set under one view.

Two jobs share soft targets where their keys are equal, so a key names everything that the teachers' logits depend on;
objective, temperature, student, epochs and batches are not among it. Pure functions: worker and engine both use them.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from app.contract.embeddings import width_taught
from app.contract.job_file import JobFile, TeacherInput
from app.contract.students import TeacherLayers
from app.contract.transfer import SPLITS
from app.contract.views import PLAIN, Fixed

VERSION = 1
"""To be raised when the same inputs give other logits, or the files another form."""


def key_of(job: JobFile, view: int, part: str, taps: Sequence[str] = ("logits",)) -> str:
    """Return the SHA-256 that names these soft targets, or features. The job file must tell its inputs' digests."""
    spec, source = job.spec, job.transfer_set
    steps = [step.model_dump(mode="json") for step in spec.augmentation]
    named = {
        "version": VERSION,
        "teachers": _teachers(job.teachers),
        "combine": None if isinstance(spec.teacher, str) else spec.teacher.combine,
        "classes": [_width(job), _order(job)],
        "data": source.sha256,
        "format": source.format.model_dump(mode="json"),
        # Samples may be encoded by, mixed with or moved towards training samples: which those are makes the view.
        "splits": source.splits.model_dump(mode="json"),
        "part": part,
        "view": "identity" if view == PLAIN else [spec.seed, view, steps],
        "taps": sorted(taps),
        "kept": kept_classes(job) if part == SPLITS[0] and "logits" in taps else None,
    }
    assert source.sha256
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def kept_classes(job: JobFile) -> int | None:
    """Return of how many classes a training sample's soft target is kept; None for all."""
    return job.spec.soft_targets.classes_of(job.student.architecture.classes, job.spec.terms)


def keys_of(job: JobFile) -> list[str]:
    """Return the keys of all that a job may ask for."""
    spec = job.spec
    parts = [(PLAIN, part) for part in SPLITS[0 if not spec.augmentation else 1 :]]
    count = min(spec.views.count, spec.epochs) if spec.augmentation and isinstance(spec.views, Fixed) else 0
    return [key_of(job, *place) for place in [*((view, SPLITS[0]) for view in range(1, count + 1)), *parts]]


def _teachers(teachers: Sequence[TeacherInput]) -> list[dict[str, Any]]:
    assert all(teacher.sha256 for teacher in teachers)
    whole = sum(teacher.weight for teacher in teachers)
    return [
        {**teacher.model_dump(mode="json", exclude={"path", "weight"}), "share": teacher.weight / whole}
        for teacher in teachers
    ]


def _width(job: JobFile) -> int:
    return width_taught([teacher.architecture for teacher in job.teachers], job.student.architecture.classes)


def _order(job: JobFile) -> list[Any] | None:
    """Return what decides, with the names in the transfer set, the order of the classes; None: nobody names them."""
    if not any(teacher.class_names for teacher in job.teachers):
        return None
    return [job.student.class_names, isinstance(job.spec.student.start(), TeacherLayers)]


def file_name(key: str, made_on: str) -> str:
    """Return the name of the whole file; machines of other kinds round otherwise and have files of their own."""
    return f"{key}-{hashlib.sha256(made_on.encode()).hexdigest()[:8]}.safetensors"
