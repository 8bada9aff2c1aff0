"""Laying out a job's directory: inputs fetched from the store and checked, and `job.json`."""

import hashlib
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.architectures import Family
from app.contract.job_file import JobFile, TeacherInput, TransferSetInput
from app.contract.transfer import Splits, TransferFormat
from app.datasets.repository import DatasetRepository
from app.files.repository import FileRepository
from app.jobs.leases import Lease
from app.models import service as models
from app.models.repository import ModelRepository
from app.store import Store, in_thread
from worker.relay import EVENTS
from worker.tail import end_last_line, write_whole


async def job_file(session: AsyncSession, lease: Lease, threads: int, max_parameters: int) -> JobFile:
    """Return the leased job's `job.json`."""
    spec = lease.spec
    teacher = await ModelRepository(session).get(lease.tenant_id, spec.teacher)
    dataset = await DatasetRepository(session).get(lease.tenant_id, spec.transfer_set)
    assert teacher  # neither can be deleted while a job names it
    assert dataset
    file = await FileRepository(session).get(lease.tenant_id, dataset.file_id)
    assert file
    architecture, key_map = models.architecture_of(teacher), models.key_map_of(teacher)
    return JobFile(
        spec=spec,
        teacher=TeacherInput.model_validate(
            {
                "path": f"inputs/teacher{architecture.suffix}",
                "sha256": teacher.weights_sha256,
                "architecture": architecture,
                "key_map": key_map,
            }
        ),
        transfer_set=TransferSetInput(
            sha256=file.sha256,
            format=TransferFormat.model_validate(dataset.format),
            splits=Splits.model_validate(dataset.splits),
        ),
        student_key_map=_student_key_map(lease, architecture, key_map),
        threads=threads,
        max_parameters=max_parameters,
    )


def _student_key_map(lease: Lease, teacher: Family, teachers_map: dict[str, str]) -> dict[str, str]:
    student = lease.spec.student
    if student.key_map is not None:
        return student.key_map
    return teachers_map if student.architecture.shares_names(teacher) else {}


async def lay_out(folder: Path, job: JobFile, store: Store) -> None:
    """Fill a job's directory. Raises BlobMissing, BlobCorrupt, ServiceUnavailable, OSError."""
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    end_last_line(folder / EVENTS)
    for path, sha256 in ((job.teacher.path, job.teacher.sha256), (job.transfer_set.path, job.transfer_set.sha256)):
        assert sha256
        await fetch(store, sha256, folder / path)
    write_whole(folder / "job.json", job.model_dump_json(indent=2))


async def fetch(store: Store, sha256: str, path: Path) -> None:
    """Bring a blob to `path`, unless an earlier attempt has. Raises BlobMissing, BlobCorrupt, ServiceUnavailable."""
    if await in_thread(_sha256, path) == sha256:
        return
    temporary = path.with_name(f"{path.name}.part")
    await store.fetch(sha256, temporary)
    temporary.replace(path)


def _sha256(path: Path) -> str | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
