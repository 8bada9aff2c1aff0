"""Bytes that change where they lie: stored inputs, and checkpoints of the real engine."""

import asyncio
from pathlib import Path

import pytest

from app.contract.states import FailureCode, JobState
from app.db.tables import Dataset, File, Model
from tests.disks import small_disk
from tests.faults.house import FaultHouse, worker
from tests.worker.training import LONG, at_work, over
from tests.worker.waiting import eventually
from worker import supervisor
from worker.devices import Host
from worker.folders import job_folder

pytestmark = pytest.mark.anyio


async def distill(house: FaultHouse, stop: asyncio.Event | None = None) -> None:
    stop = stop or asyncio.Event()
    await supervisor.distill(house.database, house.store, house.settings, Host(), "test", stop)


def flip(path: Path, place: int) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.fault(18)
@pytest.mark.fault(19)
async def test_damaged_checkpoints_are_passed_over(house: FaultHouse) -> None:
    """The latest, then both: the student is, to the bit, the one of an undisturbed run."""
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    undisturbed, damaged = [await house.submit_on(teacher, data, training=LONG) for _ in range(2)]
    await distill(house)
    older, _ = await damage_checkpoints(house, damaged, attempt=1, count=1)
    await damage_checkpoints(house, damaged, attempt=2, count=2)
    await distill(house)
    told = [event.data["text"] for event in await house.events(damaged) if event.type == "notice"]
    assert any(f"training goes on from step {older}" in text for text in told), told
    assert any("training starts over" in text for text in told), told
    assert await house.steps(damaged, "resumed") == [older]
    students = [(await house.artifacts(job_id))["student"].sha256 for job_id in (undisturbed, damaged)]
    assert students[0] == students[1]


async def damage_checkpoints(house: FaultHouse, job_id: str, attempt: int, count: int) -> list[int]:
    """Let a job train until it has written two checkpoints, and damage the last ones; return the steps of the two."""
    stop = asyncio.Event()
    running = asyncio.create_task(distill(house, stop))
    await eventually(lambda: has_two(house, job_id, attempt), seconds=90, what="two checkpoints")
    stop.set()
    await running
    assert (await house.job(job_id)).state == JobState.QUEUED
    kept = sorted((job_folder(house.settings, job_id) / "checkpoints").glob("*.safetensors"))
    for path in kept[-count:]:
        flip(path, -100)  # in a tensor
    return [int(path.stem.removeprefix("student-")) for path in kept]


async def has_two(house: FaultHouse, job_id: str, attempt: int) -> bool:
    return len(await house.steps(job_id, "checkpoint", attempt)) >= 2


@pytest.mark.fault(20)
@pytest.mark.parametrize("part", ["teacher", "transfer set"])
@pytest.mark.parametrize("damage", ["altered", "gone"])
async def test_damaged_inputs_are_found_before_training(house: FaultHouse, part: str, damage: str) -> None:
    [job_id] = await house.simulated()
    blob = await blob_of(house, job_id, part)
    if damage == "gone":
        blob.unlink()
    else:
        flip(blob, blob.stat().st_size // 2)
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.failure_code) == (JobState.FAILED, FailureCode.ARTIFACT_CORRUPT)
    assert not any(event.data.get("to") == "running" for event in await house.events(job_id))


async def blob_of(house: FaultHouse, job_id: str, part: str) -> Path:
    """Return where the store keeps an input of a job."""
    job = await house.job(job_id)
    if part == "teacher":
        sha256 = (await house.registered(Model, job.spec["teacher"])).weights_sha256
    else:
        dataset = await house.registered(Dataset, job.dataset_id)
        async with house.database.reading() as session:
            sha256 = (await session.get_one(File, dataset.file_id)).sha256
    return house.settings.data / "blobs" / "blobs" / sha256[:2] / sha256


WIDE = {"architecture": {"kind": "mlp", "inputs": 6, "hidden": [20_000], "classes": 3}}
"""A checkpoint of it takes 2 MiB."""


@pytest.mark.fault(15)
async def test_a_disk_that_is_full_during_a_checkpoint_leaves_the_one_before(house: FaultHouse) -> None:
    """With room again, a retry goes on from there."""
    training = {"epochs": 150, "checkpoint_seconds": 0.1}
    [job_id] = await house.submit(training=training, student=WIDE)
    with (
        small_disk(house.settings.data / "jobs", 12 * 2**20) as disk,
        worker(house.settings, inside=disk.inside),
    ):
        await at_work(house, job_id)
        while not await house.is_over(job_id):
            disk.fill(leave=2**18)
            await asyncio.sleep(0.02)
        job = await house.job(job_id)
        assert (job.state, job.failure_code) == (JobState.FAILED, FailureCode.DISK_FULL)
        disk.make_room()
        again = await house.retry(job_id)
        await over(house, again)
    assert (await house.steps(again, "resumed"))[0] == (await house.steps(job_id, "checkpoint"))[-1]
