"""Soft targets that jobs share: on one host by a folder, between hosts by the store."""

import asyncio
import fcntl
import os
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.base import DEFAULT_TENANT
from app.db.tables import SoftTargets
from app.files.repository import FileRepository
from app.retention.repository import RetentionRepository, rules
from app.settings import Settings
from app.soft_targets import service
from app.store import Blob
from tests.worker.conftest import House
from worker import soft_targets, supervisor
from worker.devices import Host


def kept(settings: Settings, *sizes: int) -> list[Path]:
    """Put files into the folders of two tenants in turn, the least recently used first."""
    folders = [folder for tenant in ("tnt_1", "tnt_2") for folder in soft_targets.made(settings, tenant)]
    paths = [folders[number % 2] / f"{number}.safetensors" for number in range(len(sizes))]
    for age, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        path.write_bytes(bytes(size))
        os.utime(path, (age, age))
    return paths


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, soft_target_bytes=100_000)
    paths = kept(settings, 40_960, 40_960, 40_960, 40_960)
    with paths[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as a job that uses it does
        assert soft_targets.make_room(settings) == 2
    assert [path.exists() for path in paths] == [True, False, False, True]
    assert soft_targets.make_room(settings) == 0


def test_half_made_files_go_after_a_while(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    [path] = kept(settings, 10)
    old, new = path.with_suffix(".tmp"), path.with_name("new.tmp")
    path.rename(old)
    new.write_bytes(b"")
    assert soft_targets.make_room(settings) == 1
    assert new.exists()


def test_no_limit_no_folder(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, soft_target_bytes=0)
    assert soft_targets.folder(settings, DEFAULT_TENANT) is None
    assert soft_targets.make_room(settings) == 0


def host(house: House, folder: Path, name: str) -> House:
    """Return a host with a data folder of its own, on one database and store."""
    settings = house.settings.model_copy(update={"data": folder / name, "store_url": house.settings.store})
    return House(settings, house.database, house.store)


async def run(house: House, job_id: str) -> None:
    assert await supervisor.distill(
        house.database, house.store, house.settings, Host(), "test", asyncio.Event()
    ) == job_id  # fmt: skip
    job = await house.job(job_id)
    assert (job.state, job.failure_detail) == ("succeeded", None)


async def rows(house: House) -> list[SoftTargets]:
    async with house.database.reading() as session:
        return list(await session.scalars(select(SoftTargets).order_by(SoftTargets.size)))


async def phases(house: House, job_id: str) -> list[str]:
    return [event.data["phase"] for event in await house.events(job_id) if event.type == "phase"]


@pytest.mark.anyio
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_hosts_share_one_teacher_pass(house: House, tmp_path: Path) -> None:
    first, second, third = (host(house, tmp_path, name) for name in ("one", "two", "three"))
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    jobs = [await house.submit_on(teacher, data) for _ in range(3)]
    await run(first, jobs[0])
    shared = await rows(house)
    assert [row.name for row in shared] == [
        path.name for path in _by_size(tmp_path / "one" / "soft_targets" / DEFAULT_TENANT)
    ]
    await run(second, jobs[1])
    assert "teacher_pass" in await phases(house, jobs[0])
    assert "teacher_pass" not in await phases(house, jobs[1])
    report = await house.json(jobs[1], "report")
    assert report["soft_targets"] == {"computed": 0, "reused": 120}

    training = max(shared, key=lambda row: row.size)
    blob = house.settings.data / "blobs" / "blobs" / training.sha256[:2] / training.sha256
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    await run(third, jobs[2])
    told = [event.data["text"] for event in await house.events(jobs[2]) if event.type == "notice"]
    assert told == ["Soft targets of an earlier job are damaged in the store: they are computed again."]
    assert (await house.json(jobs[2], "report"))["soft_targets"] == {"computed": 108, "reused": 12}
    assert [row.sha256 for row in await rows(house)] == [row.sha256 for row in shared]  # offered anew, the same bytes
    students = {(await house.artifacts(job_id))["student"].sha256 for job_id in jobs}
    assert len(students) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_tenants_share_no_teacher_pass(house: House) -> None:
    """The same teacher, transfer set and host: the second tenant's job pays as if nobody had been there."""
    computed = {}
    for tenant in (DEFAULT_TENANT, "tnt_other"):
        mine = replace(house, tenant=tenant)
        teacher, data = await mine.model(), await mine.dataset()
        await mine.pass_inspections()
        job_id = await mine.submit_on(teacher, data)
        await run(mine, job_id)
        computed[tenant] = (await mine.json(job_id, "report"))["soft_targets"]
        assert "teacher_pass" in await phases(mine, job_id)
    assert computed["tnt_other"] == computed[DEFAULT_TENANT] == {"computed": 120, "reused": 0}
    folders = [house.settings.data / "soft_targets" / tenant for tenant in computed]
    first, second = ([path.name for path in _by_size(folder)] for folder in folders)
    assert first == second != []


def _by_size(folder: Path) -> list[Path]:
    return sorted(folder.iterdir(), key=lambda path: path.stat().st_size)


@pytest.mark.anyio
async def test_the_first_to_offer_wins_and_what_nobody_asks_for_is_forgotten(house: House) -> None:
    async def refers(sha256: str) -> bool:
        async with house.database.reading() as session:
            return bool(await FileRepository(session).referred([sha256]))

    for sha256 in ("a" * 64, "b" * 64):
        async with house.database.transaction() as session:
            await service.publish(session, "tenant", "k" * 64, "name", Blob(sha256, 1))
    assert (await refers("a" * 64), await refers("b" * 64)) == (True, False)
    async with house.database.transaction() as session:
        assert await service.find(session, "another", ["k" * 64]) == {}
        assert list(await service.find(session, "tenant", ["k" * 64, "z" * 64])) == ["k" * 64]
        assert await forget(session, house, 60) == 0
        assert await forget(session, house, -60) == 1
    assert not await refers("a" * 64)


async def forget(session: AsyncSession, house: House, seconds: float) -> int:
    settings = house.settings.model_copy(update={"soft_target_seconds": seconds})
    [rule] = [rule for rule in rules(settings) if rule.kind == "soft_targets"]
    return await RetentionRepository(session).remove(rule, 10)
