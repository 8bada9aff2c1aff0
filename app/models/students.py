"""Models that are made by jobs: registered before or after the job is over, inspected like any other."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import InvalidRequest, Problem
from app.contract.inspection import ModelInspection
from app.contract.spec import JobSpec
from app.contract.states import TERMINAL, InspectionState, JobState, RejectionCode
from app.db.base import new_id
from app.db.session import doorbells
from app.db.tables import Artifact, File, Job, Model
from app.files.repository import FileRepository
from app.jobs.named import Named, find, student_class_names, student_key_map, student_preprocessing
from app.jobs.repository import JobRepository
from app.models.registered import is_resolved
from app.models.repository import ModelRepository
from app.queue import Doorbell


async def register(session: AsyncSession, tenant: str, job_id: str, name: str | None) -> Model:
    """Register a job's student. Raises InvalidRequest where there is no such job, or it ended without one."""
    job = await JobRepository(session).get(tenant, job_id)
    if job is None:
        raise _refused(f"there is no job {job_id}")
    if job.state in TERMINAL and job.state != JobState.SUCCEEDED:
        raise _refused(f"the job {job_id} is {job.state}: it has no student")
    spec = JobSpec.model_validate(job.spec)
    named, _ = await find(session, tenant, spec)
    if named is None:
        raise _refused(f"what the job {job_id} named is no longer there")
    if unknown := [model.id for model, _ in named.parts() if not is_resolved(model)]:
        raise _refused(f"what the student of {job_id} is will be known after the inspection of {', '.join(unknown)}")
    model = _awaited(job, spec, named, name)
    await ModelRepository(session).add(model)
    if job.state == JobState.SUCCEEDED:
        student = [kept for kept in await JobRepository(session).artifacts(tenant, job_id) if kept.kind == "student"]
        await arrive(session, job, student[0])
        await session.refresh(model)
    return model


def _awaited(job: Job, spec: JobSpec, named: Named, name: str | None) -> Model:
    return Model(
        id=new_id("mdl"),
        tenant_id=job.tenant_id,
        name=name or f"student of {job.name or job.id}"[:200],
        job_id=job.id,
        state=InspectionState.AWAITED.value,
        architecture=named.student_architecture(spec).model_dump(mode="json"),
        key_map=student_key_map(spec, named),
        **_known(spec, named),
    )


def _known(spec: JobSpec, named: Named) -> dict[str, Any]:
    """Return what can be said of a student before its file is looked at; that has what it learnt from its job's set."""
    preprocessing = student_preprocessing(spec, named)
    whole = preprocessing is not None and preprocessing.whole()
    return {
        "class_names": list(student_class_names(spec, named)) or None,
        "preprocessing": preprocessing.model_dump(mode="json") if preprocessing and whole else None,
    }


def _refused(detail: str) -> InvalidRequest:
    return InvalidRequest(detail, [Problem(pointer="/job", detail=detail)])


async def arrive(session: AsyncSession, job: Job, student: Artifact) -> None:
    """Give the models that wait for this job their weights, and have them inspected."""
    awaited = await ModelRepository(session).awaited_of(job.id)
    if not awaited:
        return
    file = File(id=new_id("file"), tenant_id=job.tenant_id, name=student.name, size=student.size, sha256=student.sha256)
    await FileRepository(session).add(file)
    # By now the transfer set has been inspected, which it may not have been when the model was registered.
    spec = JobSpec.model_validate(job.spec)
    named, missing = await find(session, job.tenant_id, spec)
    assert named, missing  # nothing can be deleted while a job names it
    values = {"file_id": file.id, "state": InspectionState.UPLOADED.value, **_known(spec, named)}
    await ModelRepository(session).end_awaiting(job.id, values)
    doorbells(session).extend(Doorbell("inspect", model.id) for model in awaited)


async def stay_away(session: AsyncSession, job: Job, state: JobState) -> None:
    """Reject the models that waited for a job that ended without a student; the janitor ends what waits for them."""
    problem = Problem(detail=f"the job {job.id} that was to make it is {state}")
    found = ModelInspection(problems=[problem], code=RejectionCode.JOB_ENDED)
    values: dict[str, Any] = {
        "state": InspectionState.REJECTED.value,
        "inspection": found.model_dump(mode="json", exclude={"help"}),
    }
    await ModelRepository(session).end_awaiting(job.id, values)
