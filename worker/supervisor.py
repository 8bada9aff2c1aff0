"""One job on this host: claim -> stage -> spawn -> relay -> publish -> finish. The only seam between rows and engine.

Beside the work itself run a heartbeat, which also brings a user's wish to cancel or pause, and a watch on the lease.
Whatever asks for the end sets one event, `stop`: the child writes a checkpoint, and the job is laid down where its
state says: cancelled, paused, or back in the queue. A job that went to another worker (LeaseLost) has its child killed.
"""

import asyncio
import errno
import logging
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncSession

from app import logs
from app.contract.disks import no_room
from app.contract.errors import Conflict, ServiceUnavailable, StorageFull
from app.contract.events import Failed, Notice
from app.contract.job_file import (
    EXIT_DISK_FULL,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_OUT_OF_MEMORY,
    EXIT_STOPPED,
    MOST_HALVINGS,
    JobFile,
)
from app.contract.states import FailureCode, JobState
from app.db.session import Database
from app.jobs import leases
from app.jobs.leases import LeaseLost
from app.jobs.repository import JobRepository
from app.limits.turns import Turns
from app.settings import Settings
from app.store import BlobCorrupt, BlobMissing, Store
from worker import child, soft_targets, staging
from worker.checkpoints import SharedCheckpoints, learnt
from worker.devices import Host, Slot
from worker.exchange import Exchange
from worker.folders import inherit, job_folder, remove, strip
from worker.lease import OUTAGES, HeldLease
from worker.oom import OomWatch
from worker.publish import store_products
from worker.pulse import Pulse
from worker.relay import EVENTS, Relay
from worker.spans import Attempt
from worker.tail import finished, write_whole
from worker.waiting import done_unless, happens

ENGINE = "worker.engine"
"""The module that runs a job's directory."""
_KILLED = "Memory ran out on the worker's host, or in its container, and the kernel killed the engine"

log = logging.getLogger(__name__)


async def distill(
    database: Database, store: Store, settings: Settings, host: Host, worker: str, stop: asyncio.Event
) -> str | None:
    """Take the first job that is due and see it through, or until `stop`; return its id, None where nothing is due."""
    claimed_at = monotonic()
    async with database.transaction() as session:
        turns = Turns(settings.limit_running_jobs)
        lease = await leases.claim(session, worker, settings.lease_seconds, turns, host)
    if lease is None or host.slot is None:
        return None
    traced = Attempt(lease, worker)
    logs.bind(job_id=lease.job_id, attempt=lease.attempt, **({"trace_id": traced.trace_id} if traced.trace_id else {}))
    log.info("taken by %s", worker)
    held = HeldLease(database, lease, settings, claimed_at)
    try:
        await Supervisor(held, store, settings, host.slot, stop, traced).see_through()
    except* LeaseLost:
        traced.end("lease_lost", "the job has another worker, or has ended")
        log.warning("the attempt is over: the job has another worker, or has ended")
    except* OUTAGES as group:
        traced.end("left", "the database is away")
        log.error("left to the janitor, the database is away: %s", group.exceptions[0])  # noqa: TRY400
    finally:
        traced.end("left", "ended by an error that nobody expected")
        soft_targets.make_room(settings)
    return lease.job_id


class _Refused(Exception):
    """The job cannot be run: why, for programs and for people."""

    def __init__(self, code: FailureCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Supervisor:
    """A claimed job. `stop` asks for its end, `_over` says that nothing is left to keep the lease for."""

    def __init__(
        self, held: HeldLease, store: Store, settings: Settings, slot: Slot, stop: asyncio.Event, traced: Attempt
    ) -> None:
        self._traced = traced
        self._held, self._lease = held, held.lease
        self._store, self._settings, self._slot = store, settings, slot
        self._folder = job_folder(settings, held.lease.job_id)
        self._exchange = Exchange(held, store, settings)
        self._checkpoints = SharedCheckpoints(self._folder, held, store, settings)
        self._stop, self._over = stop, asyncio.Event()
        self._oom = OomWatch()
        self._pulse = Pulse(self._folder, settings.job_silence_seconds)
        self._stop_by: float | None = None
        self._tried_before: list[str] = []

    async def see_through(self) -> None:
        """Work on the job until it ends or must be laid down. Raises (in a group) LeaseLost, or an outage."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._held.keep(self._stop, self._over))
            tasks.create_task(self._held.watch(self._stop, self._over))
            try:
                await self._work()
            finally:
                self._over.set()

    async def _work(self) -> None:
        try:
            if await done_unless(self._stop, self._stage()) and not self._stop.is_set():
                await self._run()
            else:
                await self._lay_down()
        except _Refused as refusal:
            await self._fail(refusal.code, refusal.detail)
        except (ServiceUnavailable, StorageFull) as outage:
            log.warning("given back, %s", outage.detail)
            await self._tell(f"The job waits and is tried again: {outage.detail}.")
            await self._lay_down(ring=False)  # at once would be too soon: the janitor rings
        except OSError as error:
            if (full := no_room(error)) is None:
                raise
            await self._fail(FailureCode.DISK_FULL, full)

    async def _stage(self) -> None:
        with self._traced.part("staging"):
            await self._lay_out()

    async def _lay_out(self) -> None:
        killed = child.evict(self._folder)  # this host may still run the child of a worker that lost the job
        if killed:
            log.warning("killed %s, left over from an earlier attempt", killed)
        self._tried_before = await self._held.write(self._earlier_jobs)
        for earlier in self._tried_before:
            inherit(self._folder, job_folder(self._settings, earlier))
        job = await self._held.write(self._job_file)
        try:
            await staging.lay_out(self._folder, job, self._store)
            await self._checkpoints.fetch()
            await self._exchange.fetch(job)
        except BlobMissing as error:
            raise _Refused(
                FailureCode.ARTIFACT_CORRUPT, f"the store does not hold {error}, an input of the job"
            ) from error
        except BlobCorrupt as error:
            detail = f"the store's bytes of {error}, an input of the job, are not those that were uploaded"
            raise _Refused(FailureCode.ARTIFACT_CORRUPT, detail) from error
        except OSError as error:
            if no_room(error):
                raise
            detail = f"the job's inputs could not be laid out: {error}"
            raise _Refused(FailureCode.INTERNAL_ERROR, detail) from error

    async def _earlier_jobs(self, session: AsyncSession) -> list[str]:
        return await JobRepository(session).tried_before(self._lease.job_id)

    async def _job_file(self, session: AsyncSession) -> JobFile:
        return await staging.job_file(session, self._lease, self._slot.threads, self._settings)

    async def _run(self) -> None:
        if not await self._advance(JobState.RUNNING):
            return
        await self._tell_of_fresh_start()
        relay = Relay(self._folder, self._held, self._traced.see)
        code = EXIT_DONE if finished(self._folder / EVENTS) else await self._train(relay)
        await relay.drain()
        while code == EXIT_OUT_OF_MEMORY and await self._halve_micro_batches():
            relay.failed = None
            code = await self._train(relay)
            await relay.drain()
        await self._conclude(code, relay)

    async def _tell_of_fresh_start(self) -> None:
        again = f"attempt {self._lease.attempt}" if self._lease.attempt > 1 else ""
        again = again or (f"the retry of {self._tried_before[0]}" if self._tried_before else "")
        if again and not learnt(self._folder):
            where = "on this host or in the store" if self._checkpoints.shared else "on this host"
            await self._tell(f"{again} starts from the beginning: no checkpoint {where}")

    async def _tell(self, text: str) -> None:
        notice = Notice(text=text)
        await self._held.write(lambda session: leases.record(session, self._lease, [notice]))

    async def _halve_micro_batches(self) -> bool:
        """Make the engine need less memory; False where that was done often enough, or the job has to end."""
        if self._stop.is_set():
            return False
        halvings = await self._held.write(lambda session: leases.halve(session, self._lease))
        if halvings is None:
            return False
        log.warning("out of memory, micro-batches are halved (%d)", halvings)
        path = self._folder / "job.json"
        job = JobFile.model_validate_json(path.read_bytes()).model_copy(update={"halvings": halvings})
        write_whole(path, job.model_dump_json(indent=2))
        return True

    async def _train(self, relay: Relay) -> int:
        """Run the engine; return its exit code, negative for a signal."""
        command = child.Command(
            ENGINE,
            self._folder,
            self._slot.threads,
            self._slot.cuda,
            memory=None if self._slot.cuda else self._settings.job_memory_bytes or None,  # CUDA maps more than it uses
            shared=soft_targets.made(self._settings, self._lease.tenant_id),
            strict=self._settings.sandbox == "strict",
            kept_open=self._slot.locks,
            processes=self._slot.processes,
            warm_seconds=self._settings.warm_seconds,
        )
        ended, self._oom = asyncio.Event(), OomWatch()
        async with child.running(command) as process, asyncio.TaskGroup() as tasks:
            tasks.create_task(relay.follow(self._settings.relay_seconds, ended))
            tasks.create_task(self._checkpoints.follow(ended))
            tasks.create_task(self._pulse.watch(process, ended))
            tasks.create_task(self._end_when_asked(process, ended))
            try:
                code = await process.wait()
            finally:
                ended.set()
        if not self._oom.blames_memory(code):
            return code
        relay.failed = Failed(code=FailureCode.OUT_OF_MEMORY, detail=_KILLED)
        return EXIT_OUT_OF_MEMORY

    async def _end_when_asked(self, process: child.Child, ended: asyncio.Event) -> None:
        stop = asyncio.ensure_future(self._stop.wait())
        over = asyncio.ensure_future(ended.wait())
        await asyncio.wait({stop, over}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        over.cancel()
        if ended.is_set():
            return
        self._stop_by = monotonic() + self._settings.stop_grace_seconds
        child.ask_to_stop(process)
        if not await happens(ended, self._settings.stop_grace_seconds):
            log.warning("killed, no checkpoint within the grace time")
            child.kill(process)

    async def _put_checkpoints_away(self) -> None:
        """Give other hosts what was learnt, in what is left of the grace time."""
        if not self._held.cancelled:
            stop_by = self._stop_by or monotonic() + self._settings.stop_grace_seconds
            await self._checkpoints.put_away(stop_by - monotonic())

    async def _conclude(self, code: int, relay: Relay) -> None:
        if code != EXIT_DONE:
            await self._put_checkpoints_away()
        if code == EXIT_DONE:
            await self._publish()
        elif code in {EXIT_FAILED, EXIT_DISK_FULL} and relay.failed:
            await self._fail(relay.failed.code, relay.failed.detail)
        elif code == EXIT_DISK_FULL:  # so full that it could not say so itself
            raise OSError(errno.ENOSPC, "the engine had no room")
        elif code == EXIT_STOPPED or self._stop.is_set():
            await self._lay_down()
        elif code == EXIT_OUT_OF_MEMORY:
            detail = relay.failed.detail if relay.failed else "the engine ran out of memory"
            await self._fail(FailureCode.OUT_OF_MEMORY, f"{detail} (micro-batches were halved {MOST_HALVINGS} times)")
        else:
            await self._charge(child.how_it_ended(code) + (self._pulse.remark or self._oom.remark(code)))

    async def _publish(self) -> None:
        done = finished(self._folder / EVENTS)
        if done is None:
            await self._charge("it ended well without saying that it had finished")
        elif await self._advance(JobState.FINALIZING):
            await self._exchange.share(JobFile.model_validate_json((self._folder / "job.json").read_bytes()))
            with self._traced.part("publishing"):
                artifacts = await store_products(self._folder, self._lease, self._store)
                await self._held.end(lambda session: leases.finish(session, self._lease, done.stop_reason, artifacts))
            self._traced.end(JobState.SUCCEEDED)
            remove(self._folder)

    async def _advance(self, to: JobState) -> bool:
        """Move the job on; lay it down where a user's cancel or pause came first."""
        try:
            await self._held.write(lambda session: leases.advance(session, self._lease, to))
        except Conflict:
            await self._lay_down()
            return False
        return True

    async def _lay_down(self, *, ring: bool = True) -> None:
        state = await self._held.end(lambda session: leases.give_back(session, self._lease, ring=ring))
        self._traced.end(state)
        if state is JobState.CANCELLED:
            remove(self._folder)

    async def _fail(self, code: FailureCode, detail: str) -> None:
        await self._held.end(lambda session: leases.fail(session, self._lease, code, detail))
        self._traced.end(JobState.FAILED, f"{code}: {detail}")
        strip(self._folder)

    async def _charge(self, how: str) -> None:
        words = child.last_words(self._folder)
        detail = f"the engine crashed: {how}" + (f"; its last words:\n{words}" if words else "")
        log.warning("%s", detail)
        await self._tell(f"Attempt {self._lease.attempt} is over: {detail}")
        state = await self._held.end(lambda session: leases.crash(session, self._lease, detail))
        self._traced.end(state, detail)
        if state is JobState.FAILED:
            strip(self._folder)
