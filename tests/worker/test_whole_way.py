"""Through real Celery workers on a real broker: inspection, queue, training, publication."""

import hashlib
from collections.abc import Sequence

import pytest

from app.contract.states import InspectionState, JobState
from app.db.session import Database
from app.db.tables import Dataset, Model
from app.queue import Bell
from app.settings import Settings
from app.store import Store
from tests.worker.conftest import House
from tests.worker.waiting import eventually
from tests.worker.workers import Worker, alive, loaded, workers

pytestmark = pytest.mark.anyio


async def go_the_whole_way(house: House, count: int, *roles: str) -> tuple[list[str], list[Worker]]:
    """Register, submit, let the workers do the rest; check what came out. Returns the jobs' ids."""
    teacher, data = await house.model(), await house.dataset()
    ids = [await house.submit_on(teacher, data, seed=seed) for seed in range(count)]
    with workers(house.settings, *roles) as running:
        await eventually(lambda: all_over(house, ids), seconds=120, what="the end of the jobs")
        assert not any(loaded(slot, "libtorch") for worker in running for slot in worker.slots())
        everything = [pid for worker in running for pid in worker.processes()]
    assert not [pid for pid in everything if alive(pid)], "processes were left behind"
    assert (await house.registered(Model, teacher)).state == InspectionState.READY
    assert (await house.registered(Dataset, data)).state == InspectionState.READY
    for job_id in ids:
        await check(house, job_id)
    return ids, running


async def all_over(house: House, ids: Sequence[str]) -> bool:
    return all([await house.is_over(job_id) for job_id in ids])


async def check(house: House, job_id: str) -> None:
    job = await house.job(job_id)
    assert (job.state, job.failure_detail, job.attempt) == (JobState.SUCCEEDED, None, 1)
    artifacts = await house.artifacts(job_id)
    assert set(artifacts) == {"student", "report", "manifest", "lock", "log"}
    for artifact in artifacts.values():
        content = b"".join([chunk async for chunk in house.store.stream(artifact.sha256)])
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (artifact.sha256, artifact.size)
    events = await house.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "job.terminal"
    assert {"phase", "step", "checkpoint"} <= {event.type for event in events}


async def test_two_workers_share_a_queue(settings: Settings, house: House) -> None:
    ids, _ = await go_the_whole_way(house, 2, "distill", "distill", "housekeeping")
    assert len({(await house.job(job_id)).worker for job_id in ids}) == 2
    assert not list((settings.data / "jobs").iterdir())


@pytest.mark.xdist_group("s3")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_on_postgresql_and_s3(
    settings: Settings, s3_environment: dict[str, str], postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    names = {name.removeprefix("STILLHOUSE_").lower() for name in s3_environment}
    chosen = {name: getattr(Settings(), name) for name in names}
    ours = Settings(**{**settings.model_dump(exclude_unset=True), **chosen, "database_url": postgresql_url})
    bell = Bell(ours.broker_url)
    database = Database(ours.database, bell)
    await go_the_whole_way(House(ours, database, Store(ours)), 1, "distill", "housekeeping")
    await database.close()
    await bell.close()
