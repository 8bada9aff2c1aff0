"""The rules of limits: which are in force for an account, and whether there is room for more.

Whoever adds to what is limited counts and adds in one transaction that has the account to itself (`lock`), so that
requests at the same time cannot go over a limit together. What is not limited is not counted.
"""

import sys
from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import PayloadTooLarge, QuotaExceeded
from app.contract.limits import Limits, Usage, Used
from app.contract.states import LEASED, JobState
from app.files.repository import FileRepository
from app.limits.repository import UsageRepository
from app.settings import Settings
from app.store import Blob

NONE = Limits()
WAITING = frozenset({JobState.QUEUED, JobState.PAUSED})


def in_force(settings: Settings, own: Mapping[str, float]) -> Limits:
    """Return the limits of an account. `own`: those that an administrator gave it."""
    general = {name: getattr(settings, f"limit_{name}") for name in Limits.model_fields}
    return Limits.model_validate({**general, **own})


def refuse_too_large(size: int, limits: Limits) -> int:
    """Raise PayloadTooLarge for a file of more bytes than one may have; return how many those are."""
    largest = limits.upload_bytes or sys.maxsize
    if size > largest:
        raise PayloadTooLarge(f"the file is larger than the {largest} bytes allowed (upload_bytes)")
    return largest


async def usage(session: AsyncSession, tenant: str, limits: Limits) -> Usage:
    has = UsageRepository(session, tenant)
    used = Used(
        stored_bytes=await has.stored_bytes(),
        unfinished_uploads=await has.unfinished_uploads(),
        queued_jobs=await has.jobs(WAITING),
        running_jobs=await has.jobs(LEASED),
        webhooks=await has.webhooks(),
    )
    return Usage(account=tenant, limits=limits, used=used)


async def admit_job(session: AsyncSession, tenant: str, limits: Limits) -> None:
    """Raise QuotaExceeded where one job more would wait than may, or nothing more could be stored of its results."""
    has = UsageRepository(session, tenant)
    if limits.queued_jobs or limits.stored_bytes:
        await has.lock()
    if limits.queued_jobs:
        _refuse_beyond("queued_jobs", await has.jobs(WAITING), limits.queued_jobs)
    await _admit_bytes(has, 1, limits)


async def admit_upload(session: AsyncSession, tenant: str, size: int, limits: Limits) -> None:
    """Raise QuotaExceeded where there is no room for an upload of `size` bytes, or it would be one too many."""
    has = UsageRepository(session, tenant)
    if limits.unfinished_uploads or limits.stored_bytes:
        await has.lock()
    if limits.unfinished_uploads:
        _refuse_beyond("unfinished_uploads", await has.unfinished_uploads(), limits.unfinished_uploads)
    await _admit_bytes(has, size, limits)


async def admit_file(session: AsyncSession, tenant: str, blob: Blob, limits: Limits) -> None:
    """Raise QuotaExceeded where there is no room for these bytes, which are in the store already."""
    if limits.stored_bytes:
        has = UsageRepository(session, tenant)
        await has.lock()
        if not await FileRepository(session).with_content(tenant, blob.sha256, blob.size):
            await _admit_bytes(has, blob.size, limits)


async def admit_webhook(session: AsyncSession, tenant: str, limits: Limits) -> None:
    """Raise QuotaExceeded where the account has as many as it may."""
    if limits.webhooks:
        has = UsageRepository(session, tenant)
        await has.lock()
        _refuse_beyond("webhooks", await has.webhooks(), limits.webhooks)


async def _admit_bytes(has: UsageRepository, size: int, limits: Limits) -> None:
    if limits.stored_bytes:
        _refuse_beyond("stored_bytes", await has.stored_bytes(), limits.stored_bytes, size)


def _refuse_beyond(limit: str, used: int, allowed: int, asked: int = 1) -> None:
    if used + asked > allowed:
        raise QuotaExceeded(limit, used, allowed, asked)
