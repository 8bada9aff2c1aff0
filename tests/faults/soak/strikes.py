"""How each kind of fault is done, and whom it takes from the jobs.

A strike returns None where nobody is there whom it could hit: it is tried again later. Otherwise it returns the jobs
that lose their worker or engine by it, each with the attempt that it was in.
"""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select, text

from app.contract.states import LEASED, TERMINAL
from app.db.session import Database
from app.db.tables import Job
from app.queue import Bell, Doorbell
from stillhouse import Stillhouse
from stillhouse.errors import Conflict
from tests.faults.soak.installation import Installation, Place, send
from tests.faults.soak.plan import Fault
from tests.worker.workers import engines as engines_of
from worker.folders import job_folder

_BROKER_AWAY = 1.0
_LIVE = [state.value for state in LEASED]


@dataclass(frozen=True)
class Victim:
    job_id: str
    attempt: int


Struck = list[Victim] | None


@dataclass
class Strikes:
    installation: Installation
    database: Database
    bell: Bell
    client: Stillhouse
    cancelled: set[str] = field(default_factory=set)
    """Jobs whose cancel was accepted: they need not succeed."""
    _later: set[asyncio.Task[None]] = field(default_factory=set)
    _api: asyncio.Lock = field(default_factory=asyncio.Lock)
    _broker: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One death at a time: who is killed again before it is back cannot be found."""

    async def strike(self, fault: Fault) -> Struck:
        act: Callable[[random.Random], Awaitable[Struck]] = getattr(self, "_" + fault.kind.replace(" ", "_").lower())
        return await act(random.Random(fault.draw))

    async def settle(self) -> None:
        """Wait for the ends of what was begun: thaws, resumes, locks."""
        await asyncio.gather(*self._later)

    async def _kill_engine(self, draw: random.Random) -> Struck:
        engines = [(slot, engine) for place in self.installation.workers for slot in place.worker.slots()
                   for engine in engines_of(slot)]  # fmt: skip
        if not engines:
            return None
        slot, engine = draw.choice(engines)
        victims = await self._held_by([slot])
        send(signal.SIGKILL, [engine])
        return victims

    async def _kill_worker(self, draw: random.Random) -> Struck:
        return await self._at_a_worker(draw, lambda place: place.worker.kill())

    async def _kill_tree(self, draw: random.Random) -> Struck:
        return await self._at_a_worker(draw, lambda place: send(signal.SIGKILL, place.worker.processes()))

    async def _stop_worker(self, draw: random.Random) -> Struck:
        return await self._at_a_worker(draw, lambda place: place.worker.kill(signal.SIGTERM))

    async def _freeze_worker(self, draw: random.Random) -> Struck:
        def freeze(place: Place) -> None:
            place.freeze()
            self._after(1.5 * self.installation.settings.lease_seconds, place.thaw)

        return await self._at_a_worker(draw, freeze)

    async def _at_a_worker(self, draw: random.Random, act: Callable[[Place], object]) -> Struck:
        busy = [place for place in self.installation.workers if await self._held_by(place.worker.slots())]
        if not busy:
            return None
        place = draw.choice(busy)
        victims = await self._held_by(place.worker.slots())
        act(place)
        return victims

    async def _kill_janitor(self, _: random.Random) -> Struck:
        janitor = self.installation.janitor
        if janitor.ended:
            return None
        send(signal.SIGKILL, janitor.worker.processes())
        return []

    async def _kill_api(self, _: random.Random) -> Struck:
        async with self._api:
            await asyncio.to_thread(self.installation.api.kill)
            await asyncio.to_thread(self.installation.api.start)
        return []

    async def _restart_broker(self, _: random.Random) -> Struck:
        return await self._kill_broker(wiped=False)

    async def _wipe_broker(self, _: random.Random) -> Struck:
        return await self._kill_broker(wiped=True)

    async def _kill_broker(self, *, wiped: bool) -> Struck:
        async with self._broker:
            self.installation.broker.kill()
            if wiped:
                self.installation.broker.wipe()
            await asyncio.sleep(_BROKER_AWAY)
            await asyncio.to_thread(self.installation.broker.start)
        return []

    async def _repeat_hints(self, draw: random.Random) -> Struck:
        jobs = await self._jobs(Job.state.not_in(TERMINAL))
        if not jobs:
            return None
        for _ in range(5):
            await self.bell.ring(Doorbell("distill", draw.choice(jobs).id))
        return []

    async def _lock_database(self, draw: random.Random) -> Struck:
        seconds = draw.uniform(0.1, 1.2) * self.installation.settings.lease_seconds
        async with self.database.transaction() as session:
            connection = await session.connection()  # on SQLite that is BEGIN IMMEDIATE
            if connection.dialect.name == "postgresql":
                await session.execute(text("LOCK TABLE jobs, job_events, job_logs IN EXCLUSIVE MODE"))
            await asyncio.sleep(seconds)
        return []

    async def _cancel(self, draw: random.Random) -> Struck:
        return await self._ask(draw, "cancel")

    async def _pause(self, draw: random.Random) -> Struck:
        return await self._ask(draw, "pause")

    async def _ask(self, draw: random.Random, wish: str) -> Struck:
        jobs = await self._jobs(Job.state.in_(_LIVE))
        if not jobs:
            return None
        job_id = draw.choice(jobs).id
        handle = await asyncio.to_thread(self.client.jobs.get, job_id)
        try:
            await asyncio.to_thread(getattr(handle, wish))
        except Conflict:  # it has ended, or is about to
            return []
        if wish == "cancel":
            self.cancelled.add(job_id)
        else:
            self._begin(self._resume(job_id, draw.uniform(0.1, 2)))
        return []

    async def _resume(self, job_id: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        handle = await asyncio.to_thread(self.client.jobs.get, job_id)
        try:
            await asyncio.to_thread(handle.resume)
        except Conflict:  # cancelled meanwhile, or it was done before it could pause
            return

    async def _flip_checkpoint(self, draw: random.Random) -> Struck:
        """Change a bit of a job's newest checkpoint, and kill its engine, so that somebody reads it."""
        for job in draw.sample(jobs := await self._jobs(Job.state == "running"), len(jobs)):
            folder = job_folder(self.installation.settings, job.id)
            kept = sorted((folder / "checkpoints").glob("*.safetensors"))
            slot = int((job.worker or "/0").rsplit("/", 1)[1])
            engines = engines_of(slot)
            if kept and engines and _flip(kept[-1], draw):
                send(signal.SIGKILL, engines)
                return [Victim(job.id, job.attempt)]
        return None

    async def _held_by(self, slots: Sequence[int]) -> list[Victim]:
        jobs = await self._jobs(Job.state.in_(_LIVE))
        return [Victim(job.id, job.attempt) for job in jobs if int((job.worker or "/0").rsplit("/", 1)[1]) in slots]

    async def _jobs(self, which: object) -> list[Job]:
        async with self.database.reading() as session:
            return list(await session.scalars(select(Job).where(which).order_by(Job.id)))  # type: ignore[arg-type]

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            act()

        self._begin(later())

    def _begin(self, work: "asyncio.Future[None] | object") -> None:
        task = asyncio.ensure_future(work)  # type: ignore[arg-type]
        self._later.add(task)


def _flip(path: Path, draw: random.Random) -> bool:
    try:
        content = bytearray(path.read_bytes())
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        with path.open("r+b") as file:  # in place: a file that is gone stays gone
            file.write(content)
    except (OSError, ValueError):
        return False
    return True
