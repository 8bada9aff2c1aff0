"""Every SQL statement about jobs, their events, logs and artifacts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, update

from app.contract.devices import Devices
from app.contract.states import LEASED, InspectionState, JobState
from app.db.base import db_now
from app.db.owned import OwnedRepository
from app.db.tables import Artifact, Dataset, Job, JobEvent, JobLog, JobModel, Model
from app.limits.turns import Turns

TEACHER, STUDENT = "teacher", "student"
"""The parts that a model may play in a job."""
_LEASED = [state.value for state in LEASED]
_ENOUGH = Devices()


@dataclass(frozen=True)
class JobFilter:
    """What a list of jobs is narrowed to."""

    state: Sequence[str] = ()
    labels: tuple[tuple[str, str], ...] = ()
    teacher: str | None = None
    transfer_set: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        chosen: list[ColumnElement[bool]] = [Job.labels[key].as_string() == value for key, value in self.labels]
        if self.state:
            chosen.append(Job.state.in_(self.state))
        if self.teacher:
            chosen.append(_names(self.teacher, TEACHER))
        if self.transfer_set:
            chosen.append(Job.dataset_id == self.transfer_set)
        if self.created_after:
            chosen.append(Job.created_at >= self.created_after)
        if self.created_before:
            chosen.append(Job.created_at < self.created_before)
        return chosen


class JobRepository(OwnedRepository[Job]):
    table = Job

    async def add_models(self, job: Job, parts: Iterable[tuple[Model, str]]) -> None:
        """Note which models the job names; each once for each part."""
        noted = {(model.id, part) for model, part in parts}
        for model_id, part in sorted(noted):
            self.session.add(JobModel(job_id=job.id, model_id=model_id, part=part, tenant_id=job.tenant_id))
        await self.session.flush()

    # Reading, for users: always with the tenant.

    async def positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        """Return the place in the queue (1 = next) of each job that waits for a worker."""
        places = {}
        for job in jobs:
            if job.state == JobState.QUEUED and job.blocked_by is None:
                places[job.id] = 1 + (await self.session.scalar(_ahead_of(job)) or 0)
        return places

    async def events(self, tenant: str, job_id: str, after: int, limit: int) -> list[JobEvent]:
        query = select(JobEvent).where(JobEvent.tenant_id == tenant, JobEvent.job_id == job_id, JobEvent.seq > after)
        return list(await self.session.scalars(query.order_by(JobEvent.seq).limit(limit)))

    async def measurements(self, tenant: str, job_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return (type, data) of every step and evaluation, in order."""
        query = select(JobEvent.type, JobEvent.data).where(
            JobEvent.tenant_id == tenant, JobEvent.job_id == job_id, JobEvent.type.in_(["step", "evaluation"])
        )
        rows = await self.session.execute(query.order_by(JobEvent.seq))
        return [(row.type, row.data) for row in rows]

    async def logs(self, tenant: str, job_id: str, after: str = "", limit: int = 64) -> list[JobLog]:
        query = select(JobLog).where(JobLog.tenant_id == tenant, JobLog.job_id == job_id, JobLog.id > after)
        return list(await self.session.scalars(query.order_by(JobLog.id).limit(limit)))

    async def artifacts(self, tenant: str, job_id: str) -> list[Artifact]:
        query = select(Artifact).where(Artifact.tenant_id == tenant, Artifact.job_id == job_id)
        return list(await self.session.scalars(query.order_by(Artifact.id)))

    async def artifact(self, tenant: str, artifact_id: str) -> Artifact | None:
        query = select(Artifact).where(Artifact.tenant_id == tenant, Artifact.id == artifact_id)
        return (await self.session.scalars(query)).one_or_none()

    async def retry_of(self, job: Job) -> Job | None:
        """Return the job that tries this one again, if there is one."""
        query = select(Job).where(Job.tenant_id == job.tenant_id, Job.retry_of == job.id)
        return (await self.session.scalars(query)).one_or_none()

    # Writing: each is one compare-and-swap, and says whether it found its row.

    async def swap(self, job: Job, values: dict[str, Any]) -> int | None:
        """Change the job if nobody else has since it was read; return the seq for its event, or None."""
        return await self._claim_seqs(and_(Job.id == job.id, Job.version == job.version), 1, values)

    async def swap_leased(self, job_id: str, attempt: int, count: int, values: dict[str, Any]) -> int | None:
        """Change a job for the worker of `attempt`, reserving `count` seqs; return the last, or None if stale."""
        return await self._claim_seqs(fenced(job_id, attempt), count, values)

    async def _claim_seqs(self, where: ColumnElement[bool], count: int, values: dict[str, Any]) -> int | None:
        statement = update(Job).where(where).values(last_seq=Job.last_seq + count, **values).returning(Job.last_seq)
        return (await self.session.execute(statement)).scalar_one_or_none()

    async def add_events(self, events: Sequence[JobEvent]) -> None:
        self.session.add_all(events)
        await self.session.flush()

    # The queue.

    async def claimable(
        self, limit: int, turns: Turns, tenants: Collection[str] | None = None, devices: Devices = _ENOUGH
    ) -> list[Job]:
        """Return what may be taken where there are such devices, the next one first. `tenants`: only theirs."""
        query = turns.take(select(Job).where(Job.state == JobState.QUEUED, Job.blocked_by.is_(None), ~_expired()))
        there = case((Job.spec["device"].as_string() == "cuda", devices.cuda), else_=devices.any)
        query = query.where(func.coalesce(Job.spec["devices"].as_integer(), 1) <= there)
        query = query if tenants is None else query.where(Job.tenant_id.in_(tenants))
        return list(await self.session.scalars(query.limit(limit)))

    async def claimable_since(self, seconds: float, limit: int, turns: Turns) -> list[Job]:
        """Return what could have been taken for `seconds`, the next one first."""
        query = turns.take(select(Job).where(Job.state == JobState.QUEUED, Job.blocked_by.is_(None)))
        return list(await self.session.scalars(query.where(Job.queued_at < db_now(-seconds)).limit(limit)))

    async def leased(self, job_id: str, attempt: int) -> Job | None:
        return (await self.session.scalars(select(Job).where(fenced(job_id, attempt)))).one_or_none()

    async def renew(self, job_id: str, attempt: int, seconds: float) -> str | None:
        """Extend the lease and return the job's state, or None where the lease is lost."""
        statement = update(Job).where(fenced(job_id, attempt)).values(lease_until=db_now(seconds)).returning(Job.state)
        return (await self.session.execute(statement)).scalar_one_or_none()

    async def leases_outside(self, seconds: float) -> list[Job]:
        """Return jobs whose lease is over, or ends more than `seconds` from now."""
        outside = or_(Job.lease_until < db_now(), Job.lease_until > db_now(seconds))
        query = select(Job).where(Job.state.in_(_LEASED), outside)
        return list(await self.session.scalars(query))

    async def leased_among(self, job_ids: Iterable[str]) -> list[Job]:
        query = select(Job).where(Job.state.in_(_LEASED), Job.id.in_(list(job_ids)))
        return list(await self.session.scalars(query))

    async def states(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Return the state of each of these jobs that exists."""
        rows = await self.session.execute(select(Job.id, Job.state).where(Job.id.in_(job_ids)))
        return {row.id: row.state for row in rows}

    async def ended_since(self, job_ids: Sequence[str], seconds: float) -> set[str]:
        """Return those of these jobs that ended less than `seconds` ago, or are pinned."""
        query = select(Job.id).where(Job.id.in_(job_ids), or_(Job.finished_at > db_now(-seconds), Job.pinned))
        return set(await self.session.scalars(query))

    async def tried_before(self, job_id: str) -> list[str]:
        """Return the jobs that this one is a retry of, the last one first."""
        found: list[str] = []
        query = select(Job.retry_of)
        while earlier := await self.session.scalar(query.where(Job.id == (found[-1] if found else job_id))):
            found.append(earlier)
        return found

    async def queued_too_long(self, seconds: float) -> list[Job]:
        """Return what has waited for `seconds`, or for longer than it says itself."""
        too_long = or_(Job.queued_at < db_now(-seconds), _expired())
        query = select(Job).where(Job.state == JobState.QUEUED, too_long)
        return list(await self.session.scalars(query.order_by(Job.priority.desc(), Job.id)))

    async def waiting_for(self, subject_id: str) -> list[Job]:
        """Return the queued jobs that name this model or data set and wait for an inspection."""
        named = or_(_names(subject_id), Job.dataset_id == subject_id)
        query = select(Job).where(Job.state == JobState.QUEUED, Job.blocked_by.is_not(None), named)
        return list(await self.session.scalars(query))

    async def blocked_on_nothing(self) -> list[Job]:
        """Return queued jobs still marked blocked although every inspection that they wait for has ended."""
        ended = [InspectionState.READY.value, InspectionState.REJECTED.value]
        open_model = select(JobModel).join(Model, Model.id == JobModel.model_id)
        open_model = open_model.where(JobModel.job_id == Job.id, Model.state.not_in(ended))
        query = select(Job).join(Dataset, Dataset.id == Job.dataset_id).where(Dataset.state.in_(ended))
        query = query.where(Job.state == JobState.QUEUED, Job.blocked_by.is_not(None), ~open_model.exists())
        return list(await self.session.scalars(query))

    async def live_users_of(self, subject_id: str) -> list[str]:
        """Return the ids of jobs that name this model or data set."""
        query = select(Job.id).where(or_(_names(subject_id), Job.dataset_id == subject_id))
        return list(await self.session.scalars(query.limit(20)))


def devices_of(job: Job) -> int:
    """Return how many devices a job asks for; specs older than that have one."""
    return int(job.spec.get("devices", 1))


def fenced(job_id: str, attempt: int) -> ColumnElement[bool]:
    """The condition that every write of a worker carries: still its attempt, still live."""
    return and_(Job.id == job_id, Job.attempt == attempt, Job.state.in_(_LEASED))


def _expired() -> ColumnElement[bool]:
    return and_(Job.expires_at.is_not(None), Job.expires_at < db_now())


def _names(model_id: str, part: str | None = None) -> ColumnElement[bool]:
    query = select(JobModel).where(JobModel.job_id == Job.id, JobModel.model_id == model_id)
    return (query.where(JobModel.part == part) if part else query).exists()


def _ahead_of(job: Job) -> Select[int]:
    earlier = or_(Job.priority > job.priority, and_(Job.priority == job.priority, Job.id < job.id))
    return select(func.count()).select_from(Job).where(Job.state == JobState.QUEUED, Job.blocked_by.is_(None), earlier)
