"""Jobs that the real engine trains for a while, and waiting for what becomes of them."""

import os
import signal
from pathlib import Path

from app.contract.states import JobState
from tests.worker.conftest import House
from tests.worker.waiting import eventually
from tests.worker.workers import engines

LONG = {"epochs": 60}
ENDLESS = {"epochs": 100_000}


async def has_checkpoint(house: House, job_id: str) -> bool:
    return any(event.type == "checkpoint" for event in await house.events(job_id))


async def at_work(house: House, job_id: str) -> None:
    await eventually(lambda: has_checkpoint(house, job_id), seconds=90, what="the first checkpoint")


async def over(house: House, job_id: str) -> None:
    await eventually(lambda: house.is_over(job_id), seconds=90, what="the end of the job")
    job = await house.job(job_id)
    assert (job.state, job.failure_detail) == (JobState.SUCCEEDED, None)
    await house.artifacts(job_id)


def kill_engine(folder: Path) -> None:
    for engine in engines(os.getpid()):
        if Path(f"/proc/{engine}/cwd").readlink() == folder:
            os.kill(engine, signal.SIGKILL)
