"""The rules that models and transfer sets share: made from a file, inspected once, kept while in use."""

from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed, Problem
from app.contract.resources import RegisteredChange
from app.db.owned import OwnedRepository
from app.db.owned import change as change_row
from app.db.session import doorbells
from app.db.tables import Dataset, File, Model
from app.files.repository import FileRepository
from app.jobs.repository import JobRepository
from app.queue import Doorbell
from app.retention.repository import let_go

Registered = TypeVar("Registered", Model, Dataset)


async def require_file(session: AsyncSession, tenant: str, file_id: str) -> File:
    """Return the file that a registration names. Raises InvalidRequest pointing at the field."""
    file = await FileRepository(session).get(tenant, file_id)
    if file is None:
        detail = f"there is no file {file_id}"
        raise InvalidRequest(detail, [Problem(pointer="/file", detail=detail)])
    return file


async def register(repository: OwnedRepository[Registered], row: Registered) -> Registered:
    """Add a row and ring for its inspection."""
    await repository.add(row)
    doorbells(repository.session).append(Doorbell("inspect", row.id))
    return row


async def get(repository: OwnedRepository[Registered], tenant: str, row_id: str) -> Registered:
    row = await repository.get(tenant, row_id)
    if row is None:
        raise NotFound(f"there is no {_word(repository)} {row_id}")
    return row


async def change(
    repository: OwnedRepository[Registered], tenant: str, row_id: str, wish: RegisteredChange, expected: int | None
) -> Registered:
    """Change name or pin; `expected` is the version that the caller saw, if any. Raises PreconditionFailed."""
    row = await get(repository, tenant, row_id)
    values = wish.model_dump(exclude_none=True)
    if not await change_row(repository.session, row, row.version if expected is None else expected, **values):
        raise PreconditionFailed(f"the {_word(repository)} has changed since that version")
    return row


async def delete(repository: OwnedRepository[Registered], tenant: str, row_id: str) -> None:
    """Forget a model or transfer set. Raises Conflict while jobs refer to it: `errors` has an id each."""
    row = await get(repository, tenant, row_id)
    users = await JobRepository(repository.session).live_users_of(row_id)
    if users:
        detail = f"the {_word(repository)} is named by {', '.join(users)}; delete these jobs first"
        raise Conflict(detail, [Problem(detail=job_id) for job_id in users])
    await let_go(repository.session, repository.table, [row_id])
    await repository.session.delete(row)
    await repository.session.flush()


def _word(repository: OwnedRepository[Registered]) -> str:
    return "model" if repository.table is Model else "data set"
