"""What a job has learnt goes with it to another host: two data folders, one database and store."""

import asyncio
import hashlib
import signal
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.contract.learnt import needed
from app.contract.states import JobState
from app.db.tables import Checkpoint
from app.files.repository import FileRepository
from app.store import Store
from tests.worker.conftest import House
from tests.worker.test_soft_targets import host
from tests.worker.test_supervisor import lose, submit
from tests.worker.training import LONG, at_work, over
from tests.worker.waiting import eventually
from tests.worker.workers import alive, worker
from worker import errands, supervisor
from worker.devices import Host
from worker.folders import job_folder

pytestmark = pytest.mark.anyio
FIRST, SECOND, THIRD = (f"checkpoints/student-{step:012}.safetensors" for step in (10, 20, 30))
DONE, OTHER = "cache/student.safetensors", "checkpoints/control-000000000005.safetensors"
FOREVER = ["end when asked", 75]


@pytest.fixture
def hosts(house: House, tmp_path: Path) -> list[House]:
    """Hosts that keep a job also where the machine is busy."""
    house.settings = house.settings.model_copy(update={"lease_seconds": 30})
    return [host(house, tmp_path, name) for name in ("one", "two")]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")


async def distill(house: House, store: Store | None = None) -> None:
    await supervisor.distill(house.database, store or house.store, house.settings, Host(), "test", asyncio.Event())


async def rows(house: House, job_id: str) -> dict[str, str]:
    async with house.database.reading() as session:
        found = await session.scalars(select(Checkpoint).where(Checkpoint.job_id == job_id))
        return {row.name: row.sha256 for row in found}


async def referred(house: House, sha256: str) -> bool:
    async with house.database.reading() as session:
        return bool(await FileRepository(session).referred([sha256]))


async def notices(house: House, job_id: str) -> list[str]:
    """Return what was told of the job, but of soft targets, which hosts share as well, and of attempts that failed."""
    told = [event.data["text"] for event in await house.events(job_id) if event.type == "notice"]
    return [text for text in told if not text.startswith(("Soft targets", "Attempt "))]


async def resumed(house: House, job_id: str) -> bool:
    return any(event.type == "resumed" for event in await house.events(job_id))


def blob_of(house: House, sha256: str) -> Path:
    return house.settings.data.parent / "data" / "blobs" / "blobs" / sha256[:2] / sha256


def damage(house: House, sha256: str) -> None:
    blob = blob_of(house, sha256)
    content = blob.read_bytes()
    blob.unlink()  # a host's own file may be the same one under another name
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


async def pause_at_work(house: House, job_id: str) -> None:
    running = asyncio.create_task(distill(house))
    await at_work(house, job_id)
    await house.pause(job_id)
    await running
    assert (await house.job(job_id)).state == JobState.PAUSED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_job_paused_on_one_host_goes_on_on_another(house: House, hosts: list[House]) -> None:
    """The student is, to the bit, the one of an undisturbed run."""
    one, two = hosts
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    undisturbed, paused = [await house.submit_on(teacher, data, training=LONG) for _ in range(2)]
    await distill(one)
    await pause_at_work(one, paused)
    stored = await rows(one, paused)
    assert [name.partition("/")[0] for name in stored] == ["checkpoints"]
    await two.resume(paused)
    await distill(two)
    await over(two, paused)
    assert await resumed(two, paused)
    assert await notices(two, paused) == []
    students = {(await two.artifacts(job_id))["student"].sha256 for job_id in (undisturbed, paused)}
    assert len(students) == 1
    assert await rows(two, paused) == {}
    assert not [sha256 for sha256 in stored.values() if await referred(two, sha256)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_a_killed_worker_had_stored_is_gone_on_from(house: House, tmp_path: Path) -> None:
    house.settings = house.settings.model_copy(update={"checkpoint_store_seconds": 0.2})
    one, two = (host(house, tmp_path, name) for name in ("one", "two"))
    [killed] = await one.submit(training={"epochs": 200})
    with worker(one.settings) as first:
        await eventually(lambda: has_rows(one, killed), seconds=60, what="a stored checkpoint")
        tree = first.processes()
        first.kill()
        await eventually(lambda: none_alive(tree), seconds=10, what="the end of slot and engine")
    await eventually(lambda: sweep_until_queued(two, killed), seconds=20, what="the lease's end")
    two.settings = two.settings.model_copy(update={"lease_seconds": 30})
    await distill(two)
    await over(two, killed)
    assert await resumed(two, killed)
    assert await notices(two, killed) == []


async def none_alive(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


async def sweep_until_queued(house: House, job_id: str) -> bool:
    await errands.sweep_up(house.settings)
    return (await house.job(job_id)).state == JobState.QUEUED


async def has_rows(house: House, job_id: str) -> bool:
    return bool(await rows(house, job_id))


def test_what_is_needed_to_go_on() -> None:
    assert needed([FIRST, SECOND, THIRD, OTHER]) == [THIRD, SECOND, OTHER]
    assert needed([FIRST, SECOND, OTHER, DONE]) == [DONE, OTHER]
    assert needed([FIRST, SECOND], 1) == [SECOND]


# From here on a scripted child writes what a job has learnt.


def sealed(name: str, content: str) -> list[Any]:
    """Return the step that writes a file and its seal, as the engine does."""
    seal = f"{hashlib.sha256(content.encode()).hexdigest()}  {Path(name).name}\n"
    return ["make", {f"{name}.sha256": seal, name: content}]


async def submit_learning(house: House, *script: Sequence[Any], **spec: Any) -> str:
    job_id = await submit(house, *script, **spec)
    for part in ("cache", "checkpoints"):
        (job_folder(house.settings, job_id) / part).mkdir()
    return job_id


async def start_without_script(house: House, job_id: str) -> Path:
    """Let a host take the job with a child that does nothing; return the directory."""
    folder = job_folder(house.settings, job_id)
    folder.mkdir(parents=True)
    (folder / "script.json").write_text("[]")
    await distill(house)
    return folder


@pytest.mark.usefixtures("scripted")
async def test_only_what_is_needed_is_kept_in_the_store(house: House, tmp_path: Path) -> None:
    house.settings = house.settings.model_copy(update={"checkpoint_store_seconds": 0.1})
    one = host(house, tmp_path, "one")
    pause = ["sleep", 1]
    job_id = await submit_learning(
        one, sealed(FIRST, "1"), pause, sealed(SECOND, "2"), pause, sealed(THIRD, "3"), sealed(OTHER, "4"), FOREVER
    )
    (job_folder(one.settings, job_id) / "cache" / "targets.safetensors").write_text("soft targets have no seal")
    running = asyncio.create_task(distill(one))
    await eventually(lambda: names_are(one, job_id, SECOND, THIRD, OTHER), seconds=20, what="the third checkpoint")
    folder = job_folder(one.settings, job_id)
    (folder / (DONE + ".sha256")).write_text(sealed(DONE, "5")[1][DONE + ".sha256"])
    (folder / DONE).write_text("5")
    await eventually(lambda: names_are(one, job_id, DONE, OTHER), seconds=20, what="the finished training")
    first = await rows(one, job_id)
    await one.cancel(job_id)
    await running
    assert await rows(one, job_id) == {}
    assert not await referred(one, first[DONE])


async def names_are(house: House, job_id: str, *names: str) -> bool:
    return set(await rows(house, job_id)) == set(names)


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_checkpoint_before_a_damaged_one_is_fetched(house: House, tmp_path: Path) -> None:
    house.settings = house.settings.model_copy(update={"checkpoint_store_seconds": 0.1})
    one, two = (host(house, tmp_path, name) for name in ("one", "two"))
    job_id = await submit_learning(one, sealed(FIRST, "1"), ["sleep", 0.6], sealed(SECOND, "2"), FOREVER)
    running = asyncio.create_task(distill(one))
    await eventually(lambda: names_are(one, job_id, FIRST, SECOND), seconds=20, what="the second checkpoint")
    await one.pause(job_id)
    await running
    damage(one, (await rows(one, job_id))[SECOND])
    await two.resume(job_id)
    folder = await start_without_script(two, job_id)
    assert await notices(two, job_id) == [f"{SECOND} is damaged in the store: the job goes on from what is left."]
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {
        Path(FIRST).name,
        Path(FIRST).name + ".sha256",
    }
    assert set(await rows(two, job_id)) == {FIRST}


@pytest.mark.usefixtures("scripted")
async def test_a_retry_on_another_host_goes_on_from_what_failed(hosts: list[House]) -> None:
    one, two = hosts
    job_id = await submit_learning(one, sealed(DONE, "1"), sealed(OTHER, "2"), ["die", signal.SIGKILL], max_attempts=1)
    await distill(one)
    assert (await one.job(job_id)).state == JobState.FAILED
    stored = await rows(one, job_id)
    again = await two.retry(job_id)
    assert (await rows(two, again), await rows(two, job_id)) == (stored, {})
    folder = await start_without_script(two, again)
    assert await notices(two, again) == []
    assert {str(path.relative_to(folder)): path.read_text() for path in folder.glob("c*/*") if path.is_file()} == {
        name: content for kept, text in ((DONE, "1"), (OTHER, "2")) for name, content in sealed(kept, text)[1].items()
    }


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_where_all_is_lost_the_job_starts_over_and_says_so(hosts: list[House]) -> None:
    one, two = hosts
    job_id = await submit_learning(one, sealed(FIRST, "1"), sealed(OTHER, "2"), ["die", signal.SIGKILL], FOREVER)
    await distill(one)
    stored = await rows(one, job_id)
    damage(one, stored[FIRST])
    blob_of(one, stored[OTHER]).unlink()
    await start_without_script(two, job_id)
    assert await notices(two, job_id) == [
        f"{OTHER} is missing from the store: the job goes on from what is left.",
        f"{FIRST} is damaged in the store: the job goes on from what is left.",
        "attempt 2 starts from the beginning: no checkpoint on this host or in the store",
    ]
    assert await rows(two, job_id) == {}


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_embedded_store_is_given_nothing(house: House) -> None:
    job_id = await submit_learning(house, sealed(FIRST, "1"), ["die", signal.SIGKILL])
    await distill(house)
    assert await rows(house, job_id) == {}


@pytest.mark.usefixtures("scripted")
async def test_who_has_lost_the_job_stores_nothing(house: House, tmp_path: Path) -> None:
    house.settings = house.settings.model_copy(update={"checkpoint_store_seconds": 0.5})
    one = host(house, tmp_path, "one")
    job_id = await submit_learning(one, sealed(FIRST, "1"), ["wait", 20])
    running = asyncio.create_task(distill(one))
    await eventually(lambda: is_running(one, job_id), what="the start")
    await lose(one, job_id)
    await running
    assert await rows(one, job_id) == {}


async def is_running(house: House, job_id: str) -> bool:
    return (await house.job(job_id)).state == JobState.RUNNING


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_what_nobody_retries_is_forgotten(house: House, tmp_path: Path) -> None:
    one = host(house, tmp_path, "one")
    job_id = await submit_learning(one, sealed(FIRST, "1"), ["die", signal.SIGKILL], max_attempts=1)
    await distill(one)
    assert (await one.job(job_id)).state == JobState.FAILED
    await errands.sweep_up(one.settings)
    assert set(await rows(one, job_id)) == {FIRST}
    await errands.sweep_up(one.settings.model_copy(update={"failed_seconds": 0}))
    assert await rows(one, job_id) == {}


class Silent:
    """A server that takes every connection and never says a word."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.heard = threading.Event()
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            while True:
                self._connections.append(self._listening.accept()[0])
                self.heard.set()
        except OSError:  # closed
            return

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for opened in (self._listening, *self._connections):
            opened.close()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_store_that_hangs_keeps_no_worker_from_ending(house: House, tmp_path: Path) -> None:
    """A real worker trains, has its checkpoint on the way to a dead S3 server, and gets SIGTERM."""
    one = host(house, tmp_path, "one")
    [job_id] = await one.submit(training={"epochs": 100_000})
    await pause_at_work(one, job_id)  # the inputs are on this host from now on
    async with one.database.transaction() as session:
        await session.execute(Checkpoint.__table__.delete())
    await one.resume(job_id)
    silent = Silent()
    hanging = one.settings.model_copy(
        update={"store_url": "s3://bucket", "s3_endpoint": silent.url, "s3_access_key_id": "nobody",
                "checkpoint_store_seconds": 0.2, "soft_target_shared_bytes": 0,
                "stop_grace_seconds": 3, "lease_seconds": 6}
    )  # fmt: skip
    with worker(hanging, STILLHOUSE_S3_SECRET_ACCESS_KEY="x") as running:
        await eventually(heard(silent), seconds=30, what="an upload")
        await asyncio.sleep(6.5)  # longer than the lease
        await eventually(lambda: trains_again(one, job_id), seconds=60, what="a step")
        job = await one.job(job_id)
        assert (job.state, job.attempt) == (JobState.RUNNING, 2)
        asked = time.monotonic()
        running.kill(signal.SIGTERM)
        running.ended()
        assert time.monotonic() - asked < 15  # the S3 client itself would wait for minutes
    silent.close()
    job = await one.job(job_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 0)


async def trains_again(house: House, job_id: str) -> bool:
    return any(event.type == "step" and event.attempt == 2 for event in await house.events(job_id))


def heard(silent: Silent) -> Any:
    async def look() -> bool:
        return silent.heard.is_set()

    return look
