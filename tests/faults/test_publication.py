"""Crashes and races at the end of a job."""

import asyncio
import random
from functools import partial

import pytest

from app.contract.errors import Conflict
from app.contract.states import JobState
from app.jobs import leases
from tests.faults.house import FaultHouse
from tests.worker.test_supervisor import FINISH, lose, submit
from tests.worker.waiting import eventually
from worker import supervisor
from worker.devices import Host
from worker.folders import job_folder
from worker.relay import EVENTS
from worker.tail import finished

pytestmark = pytest.mark.anyio
BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


class PowerCut(Exception):
    """The worker ends here."""


async def distill(house: FaultHouse) -> None:
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", asyncio.Event())


@pytest.mark.fault(11)
async def test_a_crash_between_storing_and_finishing_publishes_the_same(
    house: FaultHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    job_id = await submit(house, *FINISH, ["exit", 0], ["make", {"out/student.safetensors": "other weights"}])

    async def die(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(leases, "finish", die)
        with pytest.raises(ExceptionGroup) as cut:
            await distill(house)
        assert cut.group_contains(PowerCut)
    assert (await house.job(job_id)).state == JobState.FINALIZING
    await lose(house, job_id)
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)
    stored = [chunk async for chunk in house.store.stream((await house.artifacts(job_id))["student"].sha256)]
    assert stored == [b"weights"]


@pytest.mark.fault(25)
@BOTH
async def test_a_cancel_that_races_the_finish(house: FaultHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cancelled at every moment of its end, a job ends once: with all that it made, or with nothing."""
    monkeypatch.setattr(supervisor, "ENGINE", "tests.faults.engine")
    jobs, draw = await house.simulated(8, steps=2, pace=0), random.Random(25)
    ended = []
    for job_id in jobs:
        working = asyncio.create_task(distill(house))
        await eventually(partial(has_finished, house, job_id), what="the end of the training")
        await asyncio.sleep(0.1 * draw.random())
        refused = await refuses(house, job_id)
        await working
        state = (await house.job(job_id)).state
        assert (state == JobState.SUCCEEDED) == refused
        ended.append(state)
    assert set(ended) <= {JobState.SUCCEEDED, JobState.CANCELLED}, ended


async def has_finished(house: FaultHouse, job_id: str) -> bool:
    path = job_folder(house.settings, job_id) / EVENTS
    return finished(path) is not None or await house.is_over(job_id)


async def refuses(house: FaultHouse, job_id: str) -> bool:
    try:
        await house.cancel(job_id)
    except Conflict:
        return True
    return False
