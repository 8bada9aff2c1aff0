"""One soak: install, submit, strike, wait for the end of every job, and ask the oracle."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from app.contract.states import TERMINAL
from app.db.session import Database
from app.db.tables import Job
from app.queue import Bell
from app.store import Store
from stillhouse import Stillhouse
from tests.faults import oracle
from tests.faults.oracle import Violation
from tests.faults.soak import plan, report
from tests.faults.soak.installation import Installation, installed
from tests.faults.soak.plan import Fault
from tests.faults.soak.report import Struck
from tests.faults.soak.strikes import Strikes
from tests.worker.conftest import TEACHER, samples, weights

_LOOK_SECONDS, _TELL_SECONDS = 0.2, 10.0

log = logging.getLogger("soak")


@dataclass
class Outcome:
    """What came of a soak."""

    text: str
    violations: list[Violation]


@dataclass
class Soak:
    folder: Path
    database_url: str
    jobs: int
    faults: int
    seed: int
    patience: float
    """Seconds without the end of any job after which those that are left count as lost."""
    accepted: list[str] = field(default_factory=list)
    struck: list[Struck] = field(default_factory=list)
    _done: int = 0
    _moved: float = field(default_factory=time.monotonic)
    """When the last job ended."""
    _told: float = 0.0

    async def run(self) -> Outcome:
        begun = time.monotonic()
        with installed(self.folder, self.database_url) as installation:
            async with _opened(self.database_url, installation.broker.url) as (database, bell):
                with Stillhouse(installation.api.url, retries=8, progress=False) as client:
                    strikes = Strikes(installation, database, bell, client)
                    await self._torment(strikes)
        async with _opened(self.database_url, "") as (database, _):
            return await self._judge(database, installation, strikes.cancelled, time.monotonic() - begun)

    async def _torment(self, strikes: Strikes) -> None:
        async with asyncio.TaskGroup() as tasks:
            submitting = tasks.create_task(asyncio.to_thread(self._submit, strikes.client))
            planned = plan.faults(self.faults, self.seed)
            while not (submitting.done() and self._done == len(self.accepted)) and not self._stuck:
                strikes.installation.tend()
                self._see(await _over(strikes.database))
                while planned and self._done >= planned[0].due * self.jobs:
                    tasks.create_task(self._strike(strikes, planned.pop(0)))
                await asyncio.sleep(_LOOK_SECONDS)
        await strikes.settle()

    def _submit(self, client: Stillhouse) -> None:
        (self.folder / "teacher.safetensors").write_bytes(weights())
        (self.folder / "data.npz").write_bytes(samples())
        teacher = client.models.create(self.folder / "teacher.safetensors", architecture=TEACHER)
        data = client.datasets.create(self.folder / "data.npz")
        for wish in plan.wishes(self.jobs, self.seed):
            self.accepted.append(client.jobs.submit(wish.spec(teacher.id, data.id)).id)

    @property
    def _stuck(self) -> bool:
        return time.monotonic() - self._moved > self.patience

    def _see(self, done: int) -> None:
        now = time.monotonic()
        if done != self._done:
            self._done, self._moved = done, now
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            log.info("%d of %d jobs are over, %d faults done", done, self.jobs, len(self.struck))

    async def _strike(self, strikes: Strikes, fault: Fault) -> None:
        """Do it as soon as there is somebody whom it hits."""
        while not self._stuck and self._done < self.jobs:
            now = datetime.now(UTC)
            victims = await strikes.strike(fault)
            if victims is not None:
                self.struck.append(Struck(fault, now, victims))
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _judge(
        self, database: Database, installation: Installation, cancelled: set[str], seconds: float
    ) -> Outcome:
        settings = installation.settings
        found = await oracle.violations(database, Store(settings), self.accepted)
        records = {job_id: record for job_id in self.accepted if (record := await oracle.recorded(database, job_id))}
        found += oracle.unequal_students(records.values())
        found += report.unexpected(records, cancelled)
        found += oracle.left_running(settings.data)
        text = report.summary(self._heading(seconds), self.struck, records, found)
        return Outcome("\n".join([text, *await self._histories(database, found)]), found)

    def _heading(self, seconds: float) -> str:
        dialect = self.database_url.split("+")[0]
        return f"soak of {self.jobs} jobs, {len(self.struck)} faults, seed {self.seed}, {dialect}: {seconds:.0f} s"

    async def _histories(self, database: Database, found: list[Violation]) -> list[str]:
        lines = [f"{violation.kind} {violation.job_id}: {violation.text}" for violation in found]
        for job_id in sorted({violation.job_id for violation in found} - {""}):
            lines += await oracle.history(database, job_id)
        return [*lines, f"logs: {self.folder}"] if found else []


@asynccontextmanager
async def _opened(database_url: str, broker_url: str) -> AsyncIterator[tuple[Database, Bell]]:
    bell = Bell(broker_url)
    database = Database(database_url, bell)
    try:
        yield database, bell
    finally:
        await database.close()
        await bell.close()


async def _over(database: Database) -> int:
    async with database.reading() as session:
        query = select(func.count()).select_from(Job).where(Job.state.in_([state.value for state in TERMINAL]))
        return await session.scalar(query) or 0
