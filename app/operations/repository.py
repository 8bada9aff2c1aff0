"""Every SQL statement about the installation as a whole: numbers over all tenants, never an id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.states import LEASED, JobState
from app.contract.workers import DeviceUse, Role
from app.db.base import db_now
from app.db.tables import Job, JobEvent, Webhook, WebhookDelivery, Worker

_LEASED = [state.value for state in LEASED]
_NEWEST_EVENTS = 64
"""How far back in a job's history to look for its last steps: other events are rare beside them."""


@dataclass(frozen=True)
class Waiting:
    """Queued jobs that wait for the same thing."""

    blocked_by: str | None
    jobs: int
    oldest_seconds: float


@dataclass(frozen=True)
class StepSeen:
    """A report of a running job about its training."""

    job_id: str
    attempt: int
    time: datetime
    data: dict[str, Any]


class OperationsRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def jobs_by_state(self) -> dict[str, int]:
        rows = await self.session.execute(select(Job.state, func.count().label("jobs")).group_by(Job.state))
        return {row.state: row.jobs for row in rows}

    async def queue(self) -> Sequence[Waiting]:
        """Return what waits, by what it waits for (None: a worker)."""
        oldest = func.min(Job.queued_at, type_=Job.queued_at.type)
        query = select(Job.blocked_by, func.count().label("jobs"), oldest.label("oldest"), db_now().label("now"))
        rows = await self.session.execute(query.where(Job.state == JobState.QUEUED).group_by(Job.blocked_by))
        return [Waiting(row.blocked_by, row.jobs, max(0.0, (row.now - row.oldest).total_seconds())) for row in rows]

    async def attempts_lost(self) -> int:
        """Return how many attempts of the jobs that are stored ended with a lost worker or a crashed engine."""
        return await self.session.scalar(select(func.coalesce(func.sum(Job.losses), 0))) or 0

    async def deliveries_by_state(self) -> dict[str, int]:
        query = select(WebhookDelivery.state, func.count().label("deliveries")).group_by(WebhookDelivery.state)
        return {row.state: row.deliveries for row in await self.session.execute(query)}

    async def webhooks_disabled(self) -> dict[str, int]:
        """Return how many webhooks are disabled, by why."""
        query = select(Webhook.disabled_by, func.count().label("webhooks")).where(~Webhook.enabled)
        return {
            row.disabled_by: row.webhooks for row in await self.session.execute(query.group_by(Webhook.disabled_by))
        }

    async def held(self) -> dict[str, int]:
        """Return how many jobs each slot holds, by its name: its worker's, a slash, and its process id."""
        query = select(Job.worker, func.count().label("jobs")).where(Job.state.in_(_LEASED), Job.worker.is_not(None))
        return {row.worker: row.jobs for row in await self.session.execute(query.group_by(Job.worker))}

    async def slots(self, lost_after: float) -> dict[str, int]:
        """Return how many jobs each worker takes at once, by its name; those not heard of for so long are lost."""
        query = select(Worker.name, Worker.slots).where(Worker.seen_at >= db_now(-lost_after))
        query = query.where(Worker.role == Role.DISTILL)
        return {row.name: row.slots for row in await self.session.execute(query)}

    async def devices(self, lost_after: float) -> list[tuple[str, DeviceUse]]:
        """Return (worker's name, device) for each device that tells; a newer report comes after an older one."""
        query = select(Worker.name, Worker.device_use).where(Worker.seen_at >= db_now(-lost_after))
        rows = await self.session.execute(query.order_by(Worker.seen_at))
        return [(row.name, DeviceUse.model_validate(use)) for row in rows for use in row.device_use]

    async def last_steps(self) -> Sequence[StepSeen]:
        """Return the newest reports of the jobs that run, each job's in order."""
        query = select(JobEvent.job_id, JobEvent.attempt, JobEvent.time, JobEvent.data).join(Job)
        query = query.where(Job.state == JobState.RUNNING, JobEvent.attempt == Job.attempt, JobEvent.type == "step")
        query = query.where(JobEvent.seq > Job.last_seq - _NEWEST_EVENTS).order_by(JobEvent.job_id, JobEvent.seq)
        return [StepSeen(row.job_id, row.attempt, row.time, row.data) for row in await self.session.execute(query)]
