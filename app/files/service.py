"""The rules of uploaded files."""

import logging
import re
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Conflict, DigestMismatch, InvalidRequest, NotFound, Problem
from app.db.base import new_id
from app.db.session import Database
from app.db.tables import File
from app.files.repository import FileRepository
from app.store import Blob, Store

log = logging.getLogger(__name__)


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


async def delete(session: AsyncSession, tenant: str, file_id: str) -> None:
    """Forget a file. Raises Conflict while a model or transfer set is made from it."""
    file = await get(session, tenant, file_id)
    users = await FileRepository(session).users_of(file_id)
    if users:
        raise Conflict(f"the file is in use by {', '.join(users)}; delete these first")
    await FileRepository(session).delete(file)


async def sweep_orphans(database: Database, store: Store, seconds: float) -> int:
    """Remove stored bytes that nothing has referred to for `seconds`; return how many blobs went."""
    removed = 0
    async for path, sha256 in store.aged(datetime.now(UTC) - timedelta(seconds=seconds)):
        async with database.reading() as session:
            needed = sha256 is not None and await FileRepository(session).refers_to(sha256)
        if not needed:
            await store.remove(path)
            removed += 1
            log.info("removed the orphan %s", path)
    return removed
