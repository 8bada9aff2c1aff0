"""The broker dies, forgets, repeats itself; the rows know better."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest

from app.db.base import DEFAULT_TENANT
from app.jobs.repository import JobRepository
from app.queue import Bell, Doorbell
from app.settings import Settings
from tests.api.conftest import running
from tests.api.living import living
from tests.faults.house import FaultHouse, worker
from tests.packaging.gateway import free_port
from tests.servers import Valkey
from tests.worker.training import at_work, over
from tests.worker.waiting import eventually
from worker import errands

pytestmark = pytest.mark.anyio


class Broker(Valkey):
    """One of the test's own, to be killed: it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._life = ExitStack()

    def start(self) -> None:
        self._life.enter_context(self.running())
        with self.client() as client:
            self._pid = int(client.info("server")["process_id"])

    def send(self, number: signal.Signals) -> None:
        os.kill(self._pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._life.close()


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def broker_url(broker: Broker) -> str:
    return broker.url


@pytest.fixture
async def bell(settings: Settings) -> AsyncIterator[Bell]:
    bell = Bell(settings.broker_url)
    yield bell
    await bell.close()


@pytest.mark.fault(7)
@pytest.mark.fault(8)
async def test_a_broker_that_dies_and_comes_back_empty(house: FaultHouse, broker: Broker) -> None:
    """While it is away jobs are accepted and trained; afterwards the janitor rings for what nobody heard of."""
    at_hand, waiting = await house.simulated(2, steps=60)
    with worker(house.settings), worker(house.settings, "housekeeping"), running(house.settings) as url:
        await at_work(house, at_hand)
        broker.kill()
        spec = (await house.job(waiting)).spec
        answer = await asyncio.to_thread(httpx2.post, f"{url}/v1/jobs", json=spec, timeout=30)
        assert answer.status_code == 201
        house.accepted.append(answer.json()["id"])
        await over(house, at_hand)
        broker.start()
        for job_id in house.accepted:
            await over(house, job_id)
            assert (await house.job(job_id)).attempt == 1


@pytest.mark.fault(9)
async def test_a_hint_that_comes_five_times_more_has_one_winner(house: FaultHouse, bell: Bell) -> None:
    [job_id] = await house.simulated()
    for _ in range(5):
        await bell.ring(Doorbell("distill", job_id))
    with worker(house.settings), worker(house.settings):
        await over(house, job_id)
        await eventually(lambda: all_heard(bell), what="the end of the hints")
    assert (await house.job(job_id)).attempt == 1


async def all_heard(bell: Bell) -> bool:
    return await bell.waiting("distill") == 0


@pytest.mark.fault(10)
async def test_the_janitor_sends_what_a_crash_after_the_commit_did_not(
    house: FaultHouse, broker: Broker, bell: Bell
) -> None:
    """The API is killed while it waits for a broker that does not answer: the row is there, the message is not."""
    [model] = await house.simulated(max_pending=3600)
    await house.cancel(model)
    broker.wipe()
    spec, log = (await house.job(model)).spec, house.settings.data / "api.log"
    with living(house.settings, free_port(), log) as api, ThreadPoolExecutor() as beside:
        broker.send(signal.SIGSTOP)
        request = beside.submit(httpx2.post, f"{api.url}/v1/jobs", json=spec, timeout=30)
        await eventually(lambda: committed(house), what="the commit")
        assert not request.done()
        os.kill(api.pid, signal.SIGKILL)
        with pytest.raises(httpx2.TransportError):
            request.result(10)
        broker.send(signal.SIGCONT)
    assert await bell.waiting("distill") == 0
    await asyncio.sleep(house.settings.ring_again_seconds)
    for _ in range(3):  # sweeps add no hints to those that still lie there
        await errands.sweep_up(house.settings)
    assert await bell.waiting("distill") == 1
    with worker(house.settings):
        await over(house, house.accepted[-1])


async def committed(house: FaultHouse) -> bool:
    """Return whether there is a job that we never heard of; it counts as accepted then."""
    async with house.database.reading() as session:
        rows = await JobRepository(session).page(DEFAULT_TENANT, 9, None)
    house.accepted += [row.id for row in rows if row.id not in house.accepted]
    return len(rows) == 2
