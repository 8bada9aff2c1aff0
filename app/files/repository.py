"""Every SQL statement about uploaded files, and about which stored bytes are still referred to."""

from collections.abc import Collection

from sqlalchemy import select, union

from app.db.owned import OwnedRepository
from app.db.tables import Artifact, Checkpoint, Dataset, File, Model, SoftTargets


class FileRepository(OwnedRepository[File]):
    table = File

    async def with_content(self, tenant: str, sha256: str, size: int) -> File | None:
        """Return a file of these bytes; its row stays until this transaction ends."""
        query = select(File).where(File.tenant_id == tenant, File.sha256 == sha256, File.size == size).limit(1)
        return (await self.session.scalars(query.with_for_update(read=True))).first()

    async def users_of(self, file_id: str) -> list[str]:
        """Return the ids of models and transfer sets made from this file."""
        models = await self.session.scalars(select(Model.id).where(Model.file_id == file_id).limit(10))
        datasets = await self.session.scalars(select(Dataset.id).where(Dataset.file_id == file_id).limit(10))
        return [*models, *datasets]

    async def delete(self, file: File) -> None:
        await self.session.delete(file)
        await self.session.flush()

    async def referred(self, digests: Collection[str]) -> set[str]:
        """Return those of these bytes that a row of any tenant needs."""
        columns = (File.sha256, Model.weights_sha256, Artifact.sha256, Checkpoint.sha256, SoftTargets.sha256)
        found = await self.session.scalars(union(*(select(column).where(column.in_(digests)) for column in columns)))
        return {sha256 for sha256 in found if sha256}
