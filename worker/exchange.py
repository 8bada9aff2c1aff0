"""Soft targets of this host given to others through the store, and theirs fetched.

Both are a favour: where one cannot be done, the job goes on without.
"""

import contextlib
import logging
import uuid
from pathlib import Path

from app.contract.disks import FULL
from app.contract.errors import ServiceUnavailable, StorageFull
from app.contract.events import Notice
from app.contract.job_file import JobFile
from app.contract.soft_targets import keys_of
from app.db.tables import SoftTargets
from app.jobs import leases
from app.settings import Settings
from app.soft_targets import service
from app.store import BlobCorrupt, BlobMissing, Store, in_thread
from worker import soft_targets
from worker.lease import HeldLease

_DAMAGED = "Soft targets of an earlier job are damaged in the store: they are computed again."

log = logging.getLogger(__name__)


class Exchange:
    """What one job fetches before it runs, and leaves behind."""

    def __init__(self, held: HeldLease, store: Store, settings: Settings) -> None:
        self._held, self._store, self._limit = held, store, settings.soft_target_shared_bytes
        self._tenant = held.lease.tenant_id
        # The embedded store lies in this host's own data folder: there is nobody to share with.
        self._folder = soft_targets.folder(settings, self._tenant) if settings.store_url and self._limit else None

    async def fetch(self, job: JobFile) -> None:
        """Bring what other hosts have computed for this job, as far as there is room. Raises LeaseLost, OSError,
        ServiceUnavailable.
        """
        if self._folder is None:
            return
        wanted = [key for key in keys_of(job) if not _whole(self._folder, key)]
        found = await self._held.write(lambda session: service.find(session, self._tenant, wanted))
        for row in found.values():
            try:
                await self._bring(row, self._folder)
            except (BlobMissing, BlobCorrupt):
                await self._complain(row)
            except OSError as error:
                if error.errno not in FULL:
                    raise
                log.warning("the soft targets %s stay in the store: %s", row.name, error.strerror)

    async def share(self, job: JobFile) -> None:
        """Offer what this job has left on this host, as far as nobody has. Raises LeaseLost."""
        if self._folder is None:
            return
        keys, left = keys_of(job), self._limit
        known = await self._held.write(lambda session: service.find(session, self._tenant, keys))
        for key in keys:
            for path, size in _whole(self._folder, key)[:1]:
                left -= size
                if left >= 0 and key not in known:
                    await self._offer(key, path)

    async def _bring(self, row: SoftTargets, folder: Path) -> None:
        await in_thread(folder.mkdir, parents=True, exist_ok=True)
        temporary = folder / f"{row.name}.{uuid.uuid4().hex}.tmp"
        try:
            await self._store.fetch(row.sha256, temporary)
            temporary.replace(folder / row.name)
        finally:
            temporary.unlink(missing_ok=True)

    async def _complain(self, row: SoftTargets) -> None:
        await self._held.write(lambda session: service.withdraw(session, row))
        notice = Notice(text=_DAMAGED)
        await self._held.write(lambda session: leases.record(session, self._held.lease, [notice]))

    async def _offer(self, key: str, path: Path) -> None:
        try:
            blob = await self._store.put_file(path)
        except (ServiceUnavailable, StorageFull) as error:
            log.warning("the soft targets %s stay on this host: %s", path.name, error.detail)
            return
        await self._held.write(lambda session: service.publish(session, self._tenant, key, path.name, blob))


def _whole(folder: Path, key: str) -> list[tuple[Path, int]]:
    """Return the whole files of a key, made on whatever machine, with their sizes."""
    with contextlib.suppress(FileNotFoundError):  # removed this moment, to make room
        return [(path, path.stat().st_size) for path in sorted(folder.glob(f"{key}-*.safetensors"))]
    return []
