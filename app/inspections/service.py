"""The rules of inspections: who inspects what, and what follows from a finding."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Problem
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.job_file import InspectDataset, InspectModel
from app.contract.registration import Resolved
from app.contract.states import InspectionState, RejectionCode
from app.contract.transfer import FORMAT, Splits
from app.db.session import doorbells
from app.db.tables import File, Model
from app.inspections.repository import InspectionRepository, Subject
from app.jobs.blocked import unblock
from app.models.registered import class_names_of, described_as, preprocessing_of
from app.queue import Doorbell

ATTEMPTS = 3
"""Inspections that may die with their worker before the upload is rejected."""


@dataclass(frozen=True)
class Inspecting:
    """A claimed inspection."""

    subject: Subject
    attempt: int
    sha256: str
    """The uploaded bytes."""
    task: InspectModel | InspectDataset


async def claim(session: AsyncSession, seconds: float) -> Inspecting | None:
    """Take the first inspection that is due, for `seconds`; None where there is none."""
    for subject in await InspectionRepository(session).due(limit=8):
        attempt = await InspectionRepository(session).claim(subject, seconds)
        if attempt is not None:
            file = await session.get_one(File, subject.file_id)
            return Inspecting(subject, attempt, file.sha256, _task(subject))
    return None


def _task(subject: Subject) -> InspectModel | InspectDataset:
    if isinstance(subject, Model):
        return InspectModel(
            architecture=described_as(subject),
            key_map=subject.key_map,
            preprocessing=preprocessing_of(subject),
            class_names=class_names_of(subject) or None,
        )
    return InspectDataset(format=FORMAT.validate_python(subject.format), splits=Splits.model_validate(subject.splits))


async def finish(
    session: AsyncSession,
    claimed: Inspecting,
    found: ModelInspection | DatasetInspection,
    weights: str | None = None,
    resolved: Resolved | None = None,
) -> bool:
    """Store what was found and let the jobs go on that wait for it.

    `weights`: the SHA-256 of converted weights; `resolved`: what an upload is that tells so by itself. Returns False
    where the inspection was given to another in the meantime.
    """
    ready = not found.problems
    values: dict[str, Any] = {
        "state": (InspectionState.READY if ready else InspectionState.REJECTED).value,
        "inspection": {**found.model_dump(mode="json", exclude={"help"}), "code": _code(found)},
    }
    if isinstance(found, ModelInspection) and ready:
        values["weights_sha256"] = weights or claimed.sha256
        values |= resolved.model_dump(mode="json") if resolved else {}
    if not await InspectionRepository(session).finish(claimed.subject, claimed.attempt, values):
        return False
    if claimed.subject in session:  # claimed in this very transaction, so seen by what follows
        await session.refresh(claimed.subject)
    await unblock(session, claimed.subject.id)
    return True


def _code(found: ModelInspection | DatasetInspection) -> str | None:
    return (found.code or RejectionCode.INVALID_UPLOAD).value if found.problems else None


async def abandon(session: AsyncSession, claimed: Inspecting, why: str, code: RejectionCode) -> bool:
    """Reject an upload whose inspection has no finding: too slow, too large, a crash, or bytes that are gone."""
    problem = Problem(detail=f"the inspection of this file did not end well: {why}")
    empty = ModelInspection if isinstance(claimed.subject, Model) else DatasetInspection
    return await finish(session, claimed, empty(problems=[problem], code=code))


async def renew(session: AsyncSession, claimed: Inspecting, seconds: float) -> bool:
    """Keep the inspection for `seconds` more; False where it was given to another."""
    return await InspectionRepository(session).renew(claimed.subject, claimed.attempt, seconds)


async def give_back(session: AsyncSession, claimed: Inspecting) -> None:
    """Leave the inspection to another worker: this one has to stop, or cannot reach the store."""
    await InspectionRepository(session).give_back(claimed.subject, claimed.attempt)


async def ring_again(session: AsyncSession, seconds: float, limit: int, pending: int) -> int:
    """Ring for the first `limit` inspections that have waited longer than `seconds`, less the rings still `pending`."""
    waiting = (await InspectionRepository(session).due_for(seconds))[pending:limit]
    doorbells(session).extend(Doorbell("inspect", subject_id) for subject_id in waiting)
    return len(waiting)
