"""The rules of retention as conditions on rows: what a dry run counts is what a pass removes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    SQLColumnExpression,
    and_,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app.contract.states import TERMINAL, InspectionState, JobState
from app.db.base import db_now
from app.db.tables import Artifact, Checkpoint, Dataset, File, Job, JobModel, Model, SoftTargets, WebhookDelivery
from app.settings import Settings

Ruled = type[Checkpoint | SoftTargets | WebhookDelivery | Job | Model | Dataset | File]
_RETRIED = [JobState.FAILED.value, JobState.EXPIRED.value]
_OVER = [state.value for state in TERMINAL]


@dataclass(frozen=True)
class Rule:
    """Which rows of a table are due."""

    kind: str
    reason: str
    table: Ruled
    key: InstrumentedAttribute[str]
    size: SQLColumnExpression[int]
    """Bytes that a row names."""
    due: ColumnElement[bool]


def rules(settings: Settings) -> list[Rule]:
    """Return the rules that are switched on, in the order in which they are applied."""
    always = [
        _checkpoints(settings.failed_seconds),
        _soft_targets(settings.soft_target_seconds),
        _deliveries(settings.webhook_delivery_seconds),
    ]
    jobs = [_jobs(settings.keep_jobs_seconds)] if settings.keep_jobs_seconds else []
    unused = settings.keep_unused_seconds
    return [*always, *jobs, *([_models(unused), _datasets(unused), _files(unused)] if unused else [])]


def _checkpoints(seconds: float) -> Rule:
    old = select(Job.id).where(Job.state.in_(_RETRIED), Job.finished_at <= db_now(-seconds), ~Job.pinned)
    return Rule(
        "checkpoints",
        f"of jobs that failed or expired {seconds:.0f} s ago (STILLHOUSE_FAILED_SECONDS)",
        Checkpoint, Checkpoint.job_id, Checkpoint.size, Checkpoint.job_id.in_(old),
    )  # fmt: skip


def _soft_targets(seconds: float) -> Rule:
    return Rule(
        "soft_targets",
        f"that no job has asked for in {seconds:.0f} s (STILLHOUSE_SOFT_TARGET_SECONDS)",
        SoftTargets, SoftTargets.key, SoftTargets.size, SoftTargets.used_at <= db_now(-seconds),
    )  # fmt: skip


def _deliveries(seconds: float) -> Rule:
    return Rule(
        "webhook_deliveries",
        f"older than {seconds:.0f} s (STILLHOUSE_WEBHOOK_DELIVERY_SECONDS)",
        WebhookDelivery, WebhookDelivery.id, literal(0), WebhookDelivery.created_at <= db_now(-seconds),
    )  # fmt: skip


def _jobs(seconds: float) -> Rule:
    retry = aliased(Job)
    retried_now = exists().where(retry.retry_of == Job.id, retry.state.not_in(_OVER))
    published = select(func.coalesce(func.sum(Artifact.size), 0)).where(Artifact.job_id == Job.id)
    return Rule(
        "jobs",
        f"that ended {seconds:.0f} s ago, with their results (STILLHOUSE_KEEP_JOBS_SECONDS)",
        Job, Job.id, published.scalar_subquery(),
        and_(Job.state.in_(_OVER), Job.finished_at <= db_now(-seconds), ~Job.pinned, ~retried_now),
    )  # fmt: skip


def _models(seconds: float) -> Rule:
    used = or_(exists().where(JobModel.model_id == Model.id), Model.state == InspectionState.AWAITED.value)
    return _unused("models", seconds, Model, literal(0), used)


def _datasets(seconds: float) -> Rule:
    return _unused("datasets", seconds, Dataset, literal(0), exists().where(Job.dataset_id == Dataset.id))


def _files(seconds: float) -> Rule:
    used = or_(exists().where(Model.file_id == File.id), exists().where(Dataset.file_id == File.id))
    return _unused("files", seconds, File, File.size, used)


def _unused(
    kind: str,
    seconds: float,
    table: type[Model | Dataset | File],
    size: SQLColumnExpression[int],
    used: ColumnElement[bool],
) -> Rule:
    idle = func.coalesce(table.used_at, table.created_at) <= db_now(-seconds)
    reason = f"that nothing has used for {seconds:.0f} s (STILLHOUSE_KEEP_UNUSED_SECONDS)"
    return Rule(kind, reason, table, table.id, size, and_(~table.pinned, ~used, idle))


class RetentionRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def total(self, rule: Rule, tenant: str | None) -> tuple[int, int]:
        """Return how many rows of a tenant (None: of all) are due, and the bytes that they name."""
        query = select(func.count(), func.coalesce(func.sum(rule.size), 0)).select_from(rule.table)
        count, size = (await self._session.execute(query.where(*_due(rule, tenant)))).one()
        return int(count), int(size)

    async def first(self, rule: Rule, limit: int, tenant: str | None = None) -> list[str]:
        """Return the keys of those that are due, the oldest ids first; of all tenants by default."""
        query = select(rule.key).where(*_due(rule, tenant)).distinct().order_by(rule.key).limit(limit)
        return list(await self._session.scalars(query))

    async def remove(self, rule: Rule, limit: int) -> int:
        """Remove rows of up to `limit` keys that are due, of any tenant; return how many rows."""
        keys = await self.first(rule, limit)
        if not keys:
            return 0
        await let_go(self._session, rule.table, keys)
        # Looked at once more: somebody may have pinned or used one of them meanwhile.
        statement = delete(rule.table).where(rule.key.in_(keys), rule.due).execution_options(synchronize_session=False)
        gone: CursorResult[Any] = await self._session.execute(statement)  # type: ignore[assignment]  # no rows come
        return gone.rowcount


def _due(rule: Rule, tenant: str | None) -> list[ColumnElement[bool]]:
    return [rule.due, *([rule.table.tenant_id == tenant] if tenant else [])]


async def let_go(session: AsyncSession, table: Ruled, ids: Sequence[str]) -> None:
    """Note that what these rows name was used until now: they are about to be deleted."""
    if table is Job:
        named = select(JobModel.model_id).where(JobModel.job_id.in_(ids))
        await session.execute(update(Model).where(Model.id.in_(named)).values(used_at=db_now()))
        data = select(Job.dataset_id).where(Job.id.in_(ids))
        await session.execute(update(Dataset).where(Dataset.id.in_(data)).values(used_at=db_now()))
    elif table is Model or table is Dataset:
        files = select(table.file_id).where(table.id.in_(ids))
        await session.execute(update(File).where(File.id.in_(files)).values(used_at=db_now()))
