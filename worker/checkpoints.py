"""What a job has learnt, given to other hosts through the store, and theirs fetched.

To give is a favour: where the store or the database is away, it is tried again later, and training goes on meanwhile.
"""

import asyncio
import logging
from pathlib import Path
from time import monotonic

from app.checkpoints import service
from app.contract.errors import ServiceUnavailable, StorageFull
from app.contract.events import Notice
from app.contract.learnt import CACHE, CHECKPOINTS, needed, seal_line, seal_of, training_of
from app.db.tables import Checkpoint
from app.jobs import leases
from app.settings import Settings
from app.store import Blob, BlobCorrupt, BlobMissing, Store, in_thread
from worker.detached import detached
from worker.lease import OUTAGES, HeldLease
from worker.staging import sha256_of
from worker.tail import write_whole
from worker.waiting import done_unless, happens

_LOOK_SECONDS = 5.0
"""Between two looks for something new."""

log = logging.getLogger(__name__)


class _Damaged(Exception):
    """A file that is not, or not any more, what its seal says."""


class SharedCheckpoints:
    """Those of one job in one attempt."""

    def __init__(self, folder: Path, held: HeldLease, store: Store, settings: Settings) -> None:
        self._folder, self._held, self._store = folder, held, store
        self.shared = bool(settings.store_url)
        """The embedded store lies in this host's own data folder: there is nobody to share with."""
        self._seconds, self._last = settings.checkpoint_store_seconds, monotonic()
        self._stored: dict[str, str] = {}

    async def fetch(self) -> None:
        """Bring what this host lacks. Raises LeaseLost, ServiceUnavailable, OSError."""
        if not self.shared:
            return
        for row in await self._held.write(lambda session: service.find(session, self._held.lease)):
            try:
                await self._bring(row)
            except (BlobMissing, BlobCorrupt) as error:
                await self._do_without(row, "missing from" if isinstance(error, BlobMissing) else "damaged in")
            else:
                self._stored[row.name] = row.sha256

    async def follow(self, ended: asyncio.Event) -> None:
        """Store what is new, not too often, until `ended`. Raises LeaseLost."""
        if not (self.shared and self._seconds):
            return
        while not await happens(ended, min(_LOOK_SECONDS, self._seconds)):
            if monotonic() - self._last >= self._seconds and self._new():
                await done_unless(ended, self._store_new())

    async def put_away(self, seconds: float) -> None:
        """Store what is new, as far as it can be done in so long. Raises LeaseLost."""
        if not self.shared or not self._new():
            return
        try:
            async with asyncio.timeout(seconds):
                await self._store_new()
        except TimeoutError:
            log.warning("its last checkpoint stays on this host, there was no time")

    async def _bring(self, row: Checkpoint) -> None:
        path = self._folder / row.name
        if not await in_thread(_lacks, path):
            return
        await in_thread(path.parent.mkdir, parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.part")
        try:
            await self._store.fetch(row.sha256, temporary)
            write_whole(seal_of(path), seal_line(path, row.sha256))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    async def _do_without(self, row: Checkpoint, how: str) -> None:
        await self._held.write(lambda session: service.withdraw(session, self._held.lease, row.name))
        notice = Notice(text=f"{row.name} is {how} the store: the job goes on from what is left.")
        await self._held.write(lambda session: leases.record(session, self._held.lease, [notice]))

    def _new(self) -> dict[str, str]:
        """Return the SHA-256 of what the store lacks of that from which another host would go on."""
        sealed = _sealed(self._folder)
        return {name: sealed[name] for name in needed(sealed, 1) if self._stored.get(name) != sealed[name]}

    async def _store_new(self) -> None:
        self._last = monotonic()
        for name, sha256 in self._new().items():
            try:
                await self._put(name, sha256)
            except _Damaged:
                log.warning("%s is damaged, and not stored", name)
            except (ServiceUnavailable, StorageFull, *OUTAGES) as error:
                if (self._folder / name).exists():  # else it was replaced this moment
                    log.warning("%s is not stored yet: %s", name, error)

    async def _put(self, name: str, sha256: str) -> None:
        def check(blob: Blob) -> None:
            if blob.sha256 != sha256:
                raise _Damaged(name)

        blob = await detached(lambda: self._store.adopt(self._folder / name, check))
        await self._held.attempt(lambda session: service.keep(session, self._held.lease, name, blob))
        self._stored[name] = sha256


def learnt(folder: Path) -> bool:
    """Return whether a job's directory holds something to go on from."""
    return bool(_sealed(folder))


def _sealed(folder: Path) -> dict[str, str]:
    """Return the whole files of what a job has learnt, and what their seals say."""
    paths = [path for part in (CACHE, CHECKPOINTS) for path in (folder / part).glob("*.safetensors")]
    seals = {str(path.relative_to(folder)): _seal(path) for path in paths}
    return {name: sha256 for name, sha256 in seals.items() if sha256}


def _seal(path: Path) -> str:
    try:
        return seal_of(path).read_text().partition(" ")[0]
    except FileNotFoundError:  # soft targets have none
        return ""


def _lacks(path: Path) -> bool:
    """Return whether there is neither the file, unharmed, nor a newer checkpoint of its training."""
    others = path.parent.glob(f"{training_of(f'{path.parent.name}/{path.name}')}-*.safetensors")
    newer = [other for other in others if path.parent.name == CHECKPOINTS and other.name > path.name]
    return not any(seal and seal == sha256_of(other) for other in (path, *newer) if (seal := _seal(other)))
