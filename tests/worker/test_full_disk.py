"""A worker whose disk is full, for real: jobs end with words or are not harmed, and go on once there is room."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from app.contract.job_file import EXIT_DISK_FULL
from app.contract.states import FailureCode, InspectionState, JobState
from app.db.tables import Dataset
from tests.disks import SmallDisk, small_disk
from tests.worker.conftest import House, samples
from tests.worker.test_claims import claim
from tests.worker.test_soft_targets import host
from tests.worker.test_supervisor import FINISH, begun
from tests.worker.waiting import eventually
from worker import inspector, staging, supervisor
from worker.devices import Host
from worker.exchange import Exchange
from worker.folders import job_folder
from worker.lease import HeldLease

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def disk(house: House, tmp_path: Path) -> Iterator[SmallDisk]:
    """The disk of job directories; database and store lie elsewhere."""
    with small_disk(tmp_path / "disk", 2**20, walled=True) as disk:
        house.settings = house.settings.model_copy(update={"data": disk.path})
        yield disk


async def distill(house: House) -> None:
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", asyncio.Event())


async def submit(house: House, *script: list[Any]) -> str:
    """Queue a job whose child will do these steps."""
    [job_id] = await house.submit()
    folder = job_folder(house.settings, job_id)
    folder.mkdir(parents=True)
    (folder / "script.json").write_text(json.dumps(script))
    return job_id


async def failed_for_want_of_room(house: House, job_id: str) -> None:
    job = await house.job(job_id)
    assert (job.state, job.failure_code, job.losses) == (JobState.FAILED, FailureCode.DISK_FULL, 0)
    assert job.failure_detail
    assert "disk of the job's directory" in job.failure_detail


async def test_inputs_that_find_no_room_and_a_retry_that_does(house: House, disk: SmallDisk) -> None:
    [job_id] = await house.submit()
    for room in (0, 8192):
        disk.fill(leave=room)
        await distill(house)
        await failed_for_want_of_room(house, job_id)
        assert not list(disk.path.rglob("*.part"))
        disk.make_room()
        job_id = await house.retry(job_id)
    await distill(house)
    assert (await house.job(job_id)).state == JobState.SUCCEEDED


async def test_an_engine_that_could_not_say_it(house: House, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    job_id = await submit(house, ["exit", EXIT_DISK_FULL])
    await distill(house)
    await failed_for_want_of_room(house, job_id)


async def test_the_place_of_the_relay_needs_no_room(
    house: House, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    job_id = await submit(house, *FINISH, ["wait for", "full"])
    running = asyncio.create_task(distill(house))
    await eventually(lambda: begun(house, job_id, 3), what="the engine's last step")
    (job_folder(house.settings, job_id) / "full").touch()
    disk.fill()
    await running
    job = await house.job(job_id)
    assert (job.state, job.losses) == (JobState.SUCCEEDED, 0)


async def test_an_inspection_waits_for_room(house: House, disk: SmallDisk) -> None:
    data = await house.dataset(samples())
    for room in (0, 4096):
        disk.fill(leave=room)
        await inspector.inspect(house.database, house.store, house.settings, asyncio.Event())
        row = await house.registered(Dataset, data)
        assert (row.state, row.attempt) == (InspectionState.UPLOADED, 0)
        disk.make_room()
    await inspector.inspect(house.database, house.store, house.settings, asyncio.Event())
    assert (await house.registered(Dataset, data)).state == InspectionState.READY


async def test_soft_targets_of_others_are_a_favour(house: House, disk: SmallDisk, tmp_path: Path) -> None:
    elsewhere, here = host(house, tmp_path, "elsewhere"), host(house, disk.path, "here")
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    for _ in range(2):
        await house.submit_on(teacher, data)
    await distill(elsewhere)
    lease = await claim(house)
    held = HeldLease(house.database, lease, here.settings, monotonic())
    job = await held.write(lambda session: staging.job_file(session, lease, 1, here.settings))
    exchange = Exchange(held, house.store, here.settings)
    disk.fill()
    await exchange.fetch(job)
    assert not list(disk.path.rglob("*.safetensors*"))
    disk.make_room()
    await exchange.fetch(job)
    assert list(disk.path.rglob("*.safetensors"))
