"""Laying out a job's directory: inputs fetched from the store and checked, and `job.json`."""

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.job_file import JobFile, NetworkInput, StudentInput, TeacherInput, TransferSetInput
from app.contract.spec import JobSpec
from app.contract.students import StoredWeights
from app.contract.teachers import members_of
from app.contract.transfer import FORMAT, Splits
from app.db.tables import Model
from app.files.repository import FileRepository
from app.jobs.leases import Lease
from app.jobs.named import Named, find, student_key_map, student_preprocessing
from app.models.registered import architecture_of, class_names_of, key_map_of, preprocessing_of
from app.settings import Settings
from app.store import Store, in_thread
from worker import soft_targets
from worker.relay import EVENTS
from worker.tail import end_last_line, write_whole


async def job_file(session: AsyncSession, lease: Lease, threads: int, settings: Settings) -> JobFile:
    """Return the leased job's `job.json`."""
    spec = lease.spec
    named, missing = await find(session, lease.tenant_id, spec)
    assert named, missing  # nothing can be deleted while a job names it
    file = await FileRepository(session).get(lease.tenant_id, named.dataset.file_id)
    assert file
    return JobFile(
        spec=spec,
        teachers=tuple(_teacher(place, model, spec) for place, model in enumerate(named.teachers)),
        student=_student(spec, named),
        transfer_set=TransferSetInput(
            sha256=file.sha256,
            format=FORMAT.validate_python(named.dataset.format),
            splits=Splits.model_validate(named.dataset.splits),
        ),
        threads=threads,
        resident_bytes=settings.resident_bytes,
        halvings=lease.halvings,
        max_parameters=settings.max_parameters,
        targets_folder=soft_targets.from_job(settings, lease.tenant_id),
    )


def _teacher(place: int, model: Model, spec: JobSpec) -> TeacherInput:
    path = f"inputs/teacher-{place + 1}{architecture_of(model).suffix}"
    weight = members_of(spec.teacher)[place].weight
    return TeacherInput.model_validate(
        {**_network(model, path), "weight": weight, "class_names": class_names_of(model)}
    )


def _student(spec: JobSpec, named: Named) -> StudentInput:
    stored = named.student if isinstance(spec.student.start(), StoredWeights) else None
    return StudentInput.model_validate(
        {
            "architecture": named.student_architecture(spec),
            "key_map": student_key_map(spec, named),
            "preprocessing": student_preprocessing(spec, named),
            "weights": _network(stored, "inputs/student.safetensors") if stored else None,
            "class_names": class_names_of(named.student) if named.student else (),
        }
    )


def _network(model: Model, path: str) -> dict[str, Any]:
    return {
        "path": path,
        "sha256": model.weights_sha256,
        "architecture": architecture_of(model),
        "key_map": key_map_of(model),
        "preprocessing": preprocessing_of(model),
    }


async def lay_out(folder: Path, job: JobFile, store: Store) -> None:
    """Fill a job's directory. Raises BlobMissing, BlobCorrupt, ServiceUnavailable, OSError."""
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    end_last_line(folder / EVENTS)
    networks: list[NetworkInput] = [*job.teachers, *([job.student.weights] if job.student.weights else [])]
    inputs = [(network.path, network.sha256) for network in networks]
    for path, sha256 in (*inputs, (job.transfer_set.path, job.transfer_set.sha256)):
        assert sha256
        await fetch(store, sha256, folder / path)
    write_whole(folder / "job.json", job.model_dump_json(indent=2))


async def fetch(store: Store, sha256: str, path: Path) -> None:
    """Bring a blob to `path`, unless an earlier attempt has. Raises BlobMissing, BlobCorrupt, ServiceUnavailable."""
    if await in_thread(sha256_of, path) == sha256:
        return
    temporary = path.with_name(f"{path.name}.part")
    try:
        await store.fetch(sha256, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str | None:
    """Return a file's SHA-256; None where there is none."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
