"""The service under these tests: it remembers what it accepted, for the oracle."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.faults.engine import LABEL
from tests.worker import workers
from tests.worker.conftest import House

ROOT = Path(__file__).parents[2]
worker = partial(workers.worker, module="tests.faults.worker", PYTHONPATH=str(ROOT))
"""Run a real worker, whose jobs may be simulated."""


@dataclass
class FaultHouse(House):
    accepted: list[str] = field(default_factory=list)
    """Every job whose submission was committed."""

    async def submit_on(self, teacher: str | dict[str, Any], data: str, **spec: Any) -> str:
        job_id = await super().submit_on(teacher, data, **spec)
        self.accepted.append(job_id)
        return job_id

    async def retry(self, job_id: str) -> str:
        again = await super().retry(job_id)
        self.accepted.append(again)
        return again

    async def simulated(self, count: int = 1, *, steps: int = 10, pace: float = 0.05, **more: Any) -> list[str]:
        """Queue jobs that cost no torch: `tests.faults.engine` says what their labels mean."""
        labels = {**LABEL, "pace": str(pace), **more.pop("labels", {})}
        return await self.submit(count, training={"epochs": steps}, labels=labels, **more)

    async def steps(self, job_id: str, kind: str = "step", attempt: int | None = None) -> list[int]:
        """Return the numbers in a job's events of a kind: step, checkpoint or resumed; of one attempt, or all."""
        events = [event for event in await self.events(job_id) if event.type == kind]
        return [event.data["step"] for event in events if attempt in {None, event.attempt}]
