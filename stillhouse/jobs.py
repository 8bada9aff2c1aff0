"""Distillation jobs: `client.jobs`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.contract.augmentations import AugmentationStep
from app.contract.exports import Exports
from app.contract.keeping import Keeping
from app.contract.objectives import ObjectiveTerm
from app.contract.resources import Dataset, Job, Model, Page, Validation
from app.contract.spec import JobSpec
from app.contract.stages import Stage
from app.contract.students import Student
from app.contract.teachers import Ensemble, Member
from app.contract.training import Training
from app.contract.views import Views
from stillhouse import calls, datasets, models
from stillhouse.job import JobHandle
from stillhouse.pages import every
from stillhouse.transport import Transport

Spec = JobSpec | Mapping[str, Any]


class Jobs:
    """Submit, list, fetch."""

    def __init__(self, transport: Transport, *, progress: bool) -> None:
        self._transport = transport
        self._progress = progress

    def create(
        self,
        *,
        teacher: Model | str | Ensemble | Mapping[str, Any] | Sequence[Model | str],
        student: Student | Mapping[str, Any],
        transfer_set: Dataset | str,
        objective: Sequence[ObjectiveTerm | Mapping[str, Any]] | None = None,
        stages: Sequence[Stage | Mapping[str, Any]] | None = None,
        augmentation: Sequence[AugmentationStep | Mapping[str, Any]] | None = None,
        views: Views | Mapping[str, Any] | None = None,
        soft_targets: Keeping | Mapping[str, Any] | None = None,
        training: Training | Mapping[str, Any] | None = None,
        generations: int | None = None,
        name: str | None = None,
        control: bool | None = None,
        export: Exports | Mapping[str, Any] | None = None,
        seed: int | None = None,
        device: str | None = None,
        devices: int | None = None,
        priority: int | None = None,
        max_attempts: int | None = None,
        max_runtime: float | None = None,
        max_pending: float | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Submit a job; what is left out takes the service's defaults (`app.contract.spec.JobSpec` documents each).

        Sent with an idempotency key (a fresh one unless given), so that a lost answer never makes a second job.
        Several teachers in a list are an ensemble of equals; `Ensemble` gives them weights. Raises InvalidSpec, whose
        `errors` point at everything that is wrong.
        """
        spec = {
            "teacher": _teacher(teacher),
            "student": student,
            "transfer_set": datasets.identity_of(transfer_set),
            "objective": None if objective is None else list(objective),
            "stages": None if stages is None else list(stages),
            "augmentation": None if augmentation is None else list(augmentation),
            "views": views,
            "soft_targets": soft_targets,
            "training": training,
            "generations": generations,
            "name": name,
            "control": control,
            "export": export,
            "seed": seed,
            "device": device,
            "devices": devices,
            "priority": priority,
            "max_attempts": max_attempts,
            "max_runtime": max_runtime,
            "max_pending": max_pending,
            "labels": labels,
        }
        given = {key: value for key, value in spec.items() if value is not None}
        return self.submit(given, idempotency_key=idempotency_key)

    def submit(self, spec: Spec, *, idempotency_key: str | None = None) -> JobHandle:
        """Submit a whole spec."""
        return self._bind(self._transport.send(calls.submit(_plain(spec), idempotency_key)))

    def validate(self, spec: Spec) -> Validation:
        """Check a spec as a submission would, and estimate what it takes; nothing is queued."""
        return self._transport.send(calls.validate(_plain(spec)))

    def get(self, job: str) -> JobHandle:
        return self._bind(self._transport.send(calls.get(f"/v1/jobs/{job}", Job)))

    def list(
        self,
        *,
        state: str | None = None,
        label: str | None = None,
        teacher: Model | str | None = None,
        limit: int = 100,
    ) -> Iterator[JobHandle]:
        """Yield jobs, newest first: of a state, with a label (`key:value`), of a teacher. `limit` is a page's size."""
        of = None if teacher is None else models.identity_of(teacher)
        filters = {"state": state, "label": label, "teacher": of, "limit": limit}
        return every(self._transport, "/v1/jobs", Page[Job], self._bind, **filters)

    def _bind(self, job: Job) -> JobHandle:
        return JobHandle(self._transport, job, progress=self._progress)


def _teacher(teacher: Model | str | Ensemble | Mapping[str, Any] | Sequence[Model | str]) -> Any:
    if isinstance(teacher, (Model, str)):
        return models.identity_of(teacher)
    if isinstance(teacher, (Ensemble, Mapping)):
        return teacher
    return Ensemble(members=tuple(Member(model=models.identity_of(member)) for member in teacher))


def _plain(spec: Spec) -> Mapping[str, Any]:
    return spec.model_dump(mode="json") if isinstance(spec, JobSpec) else spec
