"""The rules of uploaded files."""

import re

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Conflict, DigestMismatch, InvalidRequest, NotFound, Problem
from app.contract.resources import FileChange
from app.db.base import new_id
from app.db.tables import File
from app.files.repository import FileRepository
from app.store import Blob


def check(blob: Blob, announced: str | None) -> None:
    """Refuse an empty file, and bytes that are not the announced ones. Raises InvalidRequest, DigestMismatch."""
    if announced and not re.fullmatch(r"[0-9a-fA-F]{64}", announced.strip()):
        raise InvalidRequest("sha256 takes 64 hex digits", [Problem(pointer="/sha256", detail="takes 64 hex digits")])
    if announced and announced.strip().lower() != blob.sha256:
        detail = f"announced {announced.strip().lower()}, received {blob.sha256}"
        raise DigestMismatch(detail, [Problem(pointer="/sha256", detail=detail)])
    if blob.size == 0:
        raise InvalidRequest("the file is empty", [Problem(pointer="/file", detail="the file is empty")])


async def register(session: AsyncSession, tenant: str, name: str, blob: Blob) -> File:
    """Give a stored blob a name and an owner."""
    file = File(id=new_id("file"), tenant_id=tenant, name=name, size=blob.size, sha256=blob.sha256)
    return await FileRepository(session).add(file)


async def get(session: AsyncSession, tenant: str, file_id: str) -> File:
    file = await FileRepository(session).get(tenant, file_id)
    if file is None:
        raise NotFound(f"there is no file {file_id}")
    return file


async def change(session: AsyncSession, tenant: str, file_id: str, wish: FileChange) -> File:
    """Pin or unpin a file."""
    file = await get(session, tenant, file_id)
    for name, value in wish.model_dump(exclude_none=True).items():
        setattr(file, name, value)
    await session.flush()
    return file


async def delete(session: AsyncSession, tenant: str, file_id: str) -> None:
    """Forget a file. Raises Conflict while a model or transfer set is made from it."""
    file = await get(session, tenant, file_id)
    users = await FileRepository(session).users_of(file_id)
    if users:
        detail = f"the file is in use by {', '.join(users)}; delete these first"
        raise Conflict(detail, [Problem(detail=user) for user in users])
    await FileRepository(session).delete(file)
