"""The rules of jobs, as users meet them."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app import tracing
from app.checkpoints.repository import CheckpointRepository
from app.contract.errors import Conflict, InvalidSpec, NotFound, PreconditionFailed, Problem
from app.contract.limits import Limits
from app.contract.problems import problems_of
from app.contract.resources import JobChange, Validation
from app.contract.spec import JobSpec
from app.contract.states import TERMINAL, JobState
from app.db.base import new_id
from app.db.owned import change as change_row
from app.db.session import doorbells
from app.db.tables import Artifact, Job, JobEvent
from app.jobs import bounds, checks
from app.jobs.blocked import waits_for
from app.jobs.estimate import estimate
from app.jobs.gate import expiry
from app.jobs.named import find
from app.jobs.repository import JobRepository
from app.limits.service import NONE, admit_job
from app.queue import Doorbell
from app.retention.repository import let_go

_NOT_ABOUT_THE_STUDENT = {"name", "labels", "priority", "max_attempts", "control", "export", "max_pending"}


def spec_hash(spec: JobSpec) -> str:
    """Return the SHA-256 of what determines the student: equal hashes ask for the same training."""
    told = spec.model_dump(mode="json", exclude=_NOT_ABOUT_THE_STUDENT | spec.unsaid())
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


async def validate(
    session: AsyncSession, tenant: str, document: Any, max_parameters: int, limits: Limits = NONE
) -> Validation:
    """Check a spec as a submission would, and find everything that is wrong with it."""
    try:
        spec = JobSpec.model_validate(document)
    except ValidationError as error:
        problems = problems_of(error, document)
        return Validation(valid=False, errors=problems, warnings=[], spec=None, spec_hash=None, estimate=None)
    spec, beyond = bounds.bounded(spec, limits)
    named, missing = await find(session, tenant, spec)
    if named is None:
        return _verdict(spec, [*beyond, *missing])
    return _verdict(
        spec,
        [*beyond, *checks.errors(spec, named, max_parameters)],
        warnings=checks.warnings(spec, named),
        estimate=estimate(spec, named),
    )


def _verdict(spec: JobSpec, errors: list[Problem], **more: Any) -> Validation:
    more = {"warnings": [], "estimate": None, **more}
    return Validation(valid=not errors, errors=errors, spec=spec, spec_hash=spec_hash(spec), **more)


async def submit(
    session: AsyncSession,
    tenant: str,
    spec: JobSpec,
    max_parameters: int,
    job_id: str | None = None,
    cloned_from: str | None = None,
    retry_of: str | None = None,
    limits: Limits = NONE,
) -> Job:
    """Queue a job. Raises InvalidSpec with everything that keeps it from running, and QuotaExceeded."""
    spec, beyond = bounds.bounded(spec, limits)
    named, problems = await find(session, tenant, spec)
    if named:
        problems = checks.errors(spec, named, max_parameters)
    if beyond or problems or not named:
        raise InvalidSpec("the job cannot run as it is", [*beyond, *problems])
    await admit_job(session, tenant, limits)
    blocked = waits_for(named)
    job = Job(
        id=job_id or new_id("job"),
        tenant_id=tenant,
        name=spec.name,
        spec=spec.model_dump(mode="json"),
        spec_hash=spec_hash(spec),
        dataset_id=named.dataset.id,
        cloned_from=cloned_from,
        retry_of=retry_of,
        traceparent=tracing.traceparent(),
        labels=spec.labels,
        priority=spec.priority,
        max_attempts=spec.max_attempts,
        state=JobState.QUEUED.value,
        blocked_by=blocked.value if blocked else None,
        last_seq=1,
        expires_at=expiry(spec.model_dump()),
    )
    repository = JobRepository(session)
    await repository.add(job)
    await session.refresh(job, ["expires_at"])  # by the database's clock
    await repository.add_models(job, named.parts())
    await repository.add_events([_queued(job)])
    doorbells(session).append(Doorbell("distill", job.id))
    return job


def _queued(job: Job) -> JobEvent:
    facts = {"to": JobState.QUEUED.value, "blocked_by": job.blocked_by}
    return JobEvent(
        job_id=job.id, seq=1, tenant_id=job.tenant_id, attempt=0, type="job.queued", time=job.created_at, data=facts
    )


async def clone(
    session: AsyncSession, tenant: str, job_id: str, name: str | None, max_parameters: int, limits: Limits = NONE
) -> Job:
    """Queue a job's resolved spec again: the same inputs and settings, so on the same CPU the same student, bit by bit.

    Raises InvalidSpec where the spec can no longer run, and QuotaExceeded.
    """
    original = await get(session, tenant, job_id)
    spec = JobSpec.model_validate(original.spec)
    if name is not None:
        spec = spec.model_copy(update={"name": name})
    return await submit(session, tenant, spec, max_parameters, cloned_from=original.id, limits=limits)


async def retry(session: AsyncSession, tenant: str, job_id: str, max_parameters: int, limits: Limits = NONE) -> Job:
    """Queue the spec of a job that did not succeed as a new job, which goes on from what that one had learnt.

    Safe to repeat: a job has one retry. Raises Conflict where there is nothing to try again, InvalidSpec where the spec
    can no longer run, and QuotaExceeded.
    """
    original, repository = await get(session, tenant, job_id), JobRepository(session)
    if made := await repository.retry_of(original):
        return made
    if original.state not in TERMINAL - {JobState.SUCCEEDED}:
        raise Conflict(f"the job is {original.state}; only one that failed, was cancelled or expired is tried again")
    try:
        async with session.begin_nested():
            spec = JobSpec.model_validate(original.spec)
            made = await submit(session, tenant, spec, max_parameters, retry_of=original.id, limits=limits)
            await CheckpointRepository(session).hand_over(original.id, made.id)
            return made
    except IntegrityError:  # somebody else tried it again at the same moment
        made = await repository.retry_of(original)
        assert made
        return made


async def get(session: AsyncSession, tenant: str, job_id: str) -> Job:
    job = await JobRepository(session).get(tenant, job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id}")
    return job


async def change(session: AsyncSession, tenant: str, job_id: str, wish: JobChange, expected: int | None) -> Job:
    """Change name, priority, labels or pin; `expected` is the version that the caller saw, if any."""
    job = await get(session, tenant, job_id)
    values = wish.model_dump(exclude_none=True)
    if not await change_row(session, job, job.version if expected is None else expected, **values):
        raise PreconditionFailed("the job has changed since that version")
    return job


async def delete(session: AsyncSession, tenant: str, job_id: str) -> None:
    """Forget a job that is over, with its events, logs and artifacts. Raises Conflict for a live one."""
    job = await get(session, tenant, job_id)
    if job.state not in TERMINAL:
        raise Conflict(f"the job is {job.state}; cancel it first")
    await let_go(session, Job, [job.id])
    await session.delete(job)
    await session.flush()


async def artifact(session: AsyncSession, tenant: str, artifact_id: str) -> Artifact:
    found = await JobRepository(session).artifact(tenant, artifact_id)
    if found is None:
        raise NotFound(f"there is no artifact {artifact_id}")
    return found


async def artifact_of(session: AsyncSession, tenant: str, job_id: str, kind: str) -> Artifact:
    """Return a job's artifact of a kind. Raises Conflict, saying how the job stands, where there is none."""
    job = await get(session, tenant, job_id)
    found: Sequence[Artifact] = [a for a in await JobRepository(session).artifacts(tenant, job_id) if a.kind == kind]
    if not found:
        raise Conflict(f"the job is {job.state} and has no {kind}; a job that has succeeded has one")
    return found[0]
