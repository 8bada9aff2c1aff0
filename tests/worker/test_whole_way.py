"""Through real Celery workers on a real broker: inspection, queue, training, publication."""

import hashlib
from collections.abc import Sequence

import pytest

from app.contract.resources import ModelCreate
from app.contract.states import InspectionState, JobState
from app.db.base import DEFAULT_TENANT
from app.db.session import Database
from app.db.tables import Dataset, Model
from app.models import service as models
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
    assert set(artifacts) == {"student", "card", "report", "manifest", "lock", "log"}
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


async def test_jobs_feed_jobs(house: House) -> None:
    """A teacher assistant: the first job's student teaches, with the first teacher, the student of the second."""
    teacher, data = await house.model(), await house.dataset()
    first = await house.submit_on(teacher, data)
    async with house.database.transaction() as session:
        assistant = (await models.register(session, DEFAULT_TENANT, ModelCreate(job=first), 10**9)).id
    both = {"members": [{"model": teacher, "weight": 2}, {"model": assistant}]}
    second = await house.submit_on(both, data, student={"model": assistant, "initial": {"kind": "fresh"}})
    third = await house.submit_on(assistant, data, student={"model": assistant})
    with workers(house.settings, "distill", "housekeeping"):
        await eventually(lambda: all_over(house, [first, second, third]), seconds=120, what="the end of the jobs")
    for job_id in (first, second, third):
        await check(house, job_id)
    manifest = await house.json(second, "manifest")
    student = (await house.artifacts(first))["student"].sha256
    assert [taught["sha256"] for taught in manifest["teachers"]][1] == student
    lock = await house.json(third, "lock")
    assert lock["job"]["student"]["weights"]["sha256"] == student


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_waits_for_a_job_that_fails_fails_too(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    first = await house.submit_on(teacher, data)
    async with house.database.transaction() as session:
        assistant = (await models.register(session, DEFAULT_TENANT, ModelCreate(job=first), 10**9)).id
    second = await house.submit_on(assistant, data)
    assert (await house.job(second)).blocked_by == "job"
    await house.cancel(first)
    with workers(house.settings, "distill", "housekeeping"):
        await eventually(lambda: house.is_over(second), seconds=60, what="the end of the job that waited")
    job = await house.job(second)
    assert (job.state, job.failure_code) == (JobState.FAILED, "invalid_spec")
    assert f"the job {first} that was to make it is cancelled" in (job.failure_detail or "")
    assert (await house.registered(Model, assistant)).inspection["code"] == "job_ended"
