"""Every SQL statement about uploads."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import delete, select, update

from app.db.base import db_now
from app.db.owned import OwnedRepository
from app.db.tables import Upload


class UploadRepository(OwnedRepository[Upload]):
    table = Upload

    async def unfinished(self, tenant: str, limit: int, before: str | None, sha256: str | None) -> list[Upload]:
        """Return a page of those that can be gone on with; with `sha256`, only those announced so."""
        conditions = [Upload.file_id.is_(None), Upload.ended.is_(None), Upload.expires_at > db_now()]
        if sha256:
            conditions.append(Upload.sha256 == sha256)
        return await self.page(tenant, limit, before, *conditions)

    async def open_among(self, ids: Collection[str]) -> set[str]:
        """Return which of these, of any tenant, can be gone on with."""
        query = select(Upload.id).where(Upload.id.in_(ids), Upload.file_id.is_(None), Upload.ended.is_(None))
        return set(await self.session.scalars(query.where(Upload.expires_at > db_now())))

    async def change(self, upload: Upload, **values: Any) -> Upload:
        """Set these columns, and return the row as it is then."""
        statement = update(Upload).where(Upload.id == upload.id).values(**values).returning(Upload)
        return (await self.session.scalars(statement)).one()

    async def delete_expired(self, seconds: float) -> None:
        """Forget all uploads, of any tenant, that expired so long ago."""
        await self.session.execute(delete(Upload).where(Upload.expires_at < db_now(-seconds)))
