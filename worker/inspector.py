"""Inspecting uploads, each in a sandboxed child with a limit on time and memory. The worker lives whatever it does."""

import asyncio
import logging
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from app import logs
from app.contract.base import Contract
from app.contract.disks import FULL
from app.contract.errors import ServiceUnavailable, StorageFull
from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.job_file import EXIT_DISK_FULL, EXIT_DONE, Inspection, InspectionFile, InspectModel
from app.contract.registration import Resolved
from app.contract.states import RejectionCode
from app.db.session import Database
from app.inspections import service
from app.inspections.service import ATTEMPTS, Inspecting
from app.settings import Settings
from app.store import BlobCorrupt, BlobMissing, Store
from worker import child
from worker.folders import inspection_folder, remove
from worker.lease import OUTAGES
from worker.staging import fetch
from worker.tail import NO_NUL, read_from, write_whole
from worker.waiting import happens

_WARM_SECONDS = 60.0
"""Uploads come together; then there may be none for long, and several slots would keep torch for it."""
_FINDING_BYTES = 64 * 2**20
Written = TypeVar("Written", bound=Contract)

log = logging.getLogger(__name__)


class _Rejected(Exception):
    """The upload has no finding: why, as the end of a sentence."""

    def __init__(self, why: str, code: RejectionCode = RejectionCode.INSPECTION_FAILED) -> None:
        super().__init__(why)
        self.code = code


class _Stopped(Exception):
    """The worker has to end, or the inspection was given to another."""


async def inspect(database: Database, store: Store, settings: Settings, stop: asyncio.Event) -> int:
    """Inspect what is due until nothing is left, or until `stop`; return how many were begun."""
    begun = 0
    while not stop.is_set():
        async with database.transaction() as session:
            claimed = await service.claim(session, settings.lease_seconds)
        if claimed is None:
            break
        begun += 1
        logs.bind(subject=claimed.subject.id, attempt=claimed.attempt)
        if not await Inspector(database, store, settings, stop, claimed).see_through():
            break
    return begun


class Inspector:
    """One claimed inspection."""

    def __init__(
        self, database: Database, store: Store, settings: Settings, stop: asyncio.Event, claimed: Inspecting
    ) -> None:
        self._database, self._store, self._settings, self._stop = database, store, settings, stop
        self._claimed = claimed
        self._folder = inspection_folder(settings, claimed.subject.id, claimed.attempt)

    async def see_through(self) -> bool:
        """Inspect, and store the finding or why there is none; False where the worker should do no more now."""
        over = asyncio.Event()
        heartbeat = asyncio.create_task(self._keep(over))
        try:
            await self._inspect()
        except _Rejected as why:
            log.warning("rejected, %s", why)
            async with self._database.transaction() as session:
                await service.abandon(session, self._claimed, str(why), why.code)
        except (_Stopped, ServiceUnavailable, StorageFull, OSError) as why:
            if isinstance(why, OSError) and why.errno not in FULL:
                raise
            log.warning("left to another inspection: %s", why)
            async with self._database.transaction() as session:
                await service.give_back(session, self._claimed)
            return False
        finally:
            over.set()
            await heartbeat
            remove(self._folder)
        return True

    async def _keep(self, over: asyncio.Event) -> None:
        """Renew the lease; a stale one is found out by the last write, which is refused."""
        while not await happens(over, self._settings.heartbeat_seconds):
            try:
                async with self._database.transaction() as session:
                    await service.renew(session, self._claimed, self._settings.lease_seconds)
            except OUTAGES as error:
                log.warning("no heartbeat, the database is away: %s", error)

    async def _inspect(self) -> None:
        if self._claimed.attempt > ATTEMPTS:
            raise _Rejected(f"the worker was lost in each of {ATTEMPTS} attempts")
        await self._stage()
        await self._run()
        found = self._finding()
        weights = await self._converted() if not found.problems else None
        resolved = self._resolved() if not found.problems else None
        async with self._database.transaction() as session:
            await service.finish(session, self._claimed, found, weights, resolved)

    async def _stage(self) -> None:
        remove(self._folder)
        upload = self._folder / self._claimed.task.path
        upload.parent.mkdir(parents=True)
        try:
            await fetch(self._store, self._claimed.sha256, upload)
        except BlobMissing as error:
            raise _Rejected("the store does not hold its bytes", RejectionCode.ARTIFACT_CORRUPT) from error
        except BlobCorrupt as error:
            why = "the store's bytes are not those that were uploaded"
            raise _Rejected(why, RejectionCode.ARTIFACT_CORRUPT) from error
        job = InspectionFile(subject=self._claimed.task, max_parameters=self._settings.max_parameters)
        write_whole(self._folder / "job.json", job.model_dump_json(indent=2))

    async def _run(self) -> None:
        memory = self._settings.inspection_memory_bytes
        strict = self._settings.sandbox == "strict"
        command = child.Command(
            "worker.engine.inspection",
            self._folder,
            threads=1,
            cuda="",
            memory=memory,
            strict=strict,
            warm_seconds=min(self._settings.warm_seconds, _WARM_SECONDS),
        )
        async with child.running(command) as process:
            code = await self._ended(process)
        if code == EXIT_DISK_FULL:
            raise StorageFull(f"no room for an inspection on the disk of {self._folder.parent}")
        if code != EXIT_DONE:
            raise _Rejected(_why(code, self._folder))

    async def _ended(self, process: child.Child) -> int:
        waits = {asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._stop.wait())}
        _, left = await asyncio.wait(
            waits, timeout=self._settings.inspection_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for wait in left:
            wait.cancel()
        if process.returncode is not None:
            return process.returncode
        if self._stop.is_set():
            raise _Stopped("the worker ends")
        raise _Rejected(f"it took longer than {self._settings.inspection_seconds:g} seconds")

    def _finding(self) -> Inspection:
        if isinstance(self._claimed.task, InspectModel):
            return self._read("inspection.json", ModelInspection)
        return self._read("inspection.json", DatasetInspection)

    def _resolved(self) -> Resolved | None:
        """Return what an upload is that tells so by itself."""
        return self._read("resolved.json", Resolved) if (self._folder / "out" / "resolved.json").exists() else None

    def _read(self, name: str, form: type[Written]) -> Written:
        found = read_from(self._folder / "out" / name, 0, _FINDING_BYTES)
        try:
            return form.model_validate_json(found.replace(*NO_NUL))
        except ValidationError as error:
            raise _Rejected("its finding cannot be read, or is too long") from error

    async def _converted(self) -> str | None:
        """Store the weights that were converted to safetensors, if they were; return their SHA-256."""
        weights = self._folder / "out" / "weights.safetensors"
        return (await self._store.put_file(weights)).sha256 if weights.exists() else None


def _why(code: int, folder: Path) -> str:
    words = child.last_words(folder).splitlines()
    return child.how_it_ended(code) + (f" ({words[-1][:300]})" if words else "")
