"""Children that the fork server makes: as good as those that are started anew, and never left over."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.servers import wait_until
from tests.worker.conftest import House
from tests.worker.waiting import eventually
from tests.worker.workers import alive, children, engines, worker
from worker import child
from worker.child import Command, fork_server, running
from worker.forkserver import client
from worker.forkserver.client import Forked

pytestmark = pytest.mark.anyio
WARM = 600.0


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fork server of this test's own, that is there soon: nothing of another one's is left, and it does not go on."""
    monkeypatch.setattr(client, "_READY", ())
    fork_server.close()
    monkeypatch.setattr(fork_server, "_works", True)
    yield
    fork_server.close()


def mirror(folder: Path, to: str = "", *, warm: float = WARM, **more: Any) -> Command:
    """`to`: wait or compute."""
    folder.mkdir(parents=True, exist_ok=True)
    if to:
        (folder / to).touch()
    return Command("tests.worker.mirror", folder, threads=2, warm_seconds=warm, **more)


async def seen(command: Command) -> dict[str, Any]:
    """Return what a child sees of itself; all of them end alike."""
    async with running(command) as process:
        assert isinstance(process, Forked) == bool(command.warm_seconds)
        assert await process.wait() == process.returncode == 7
    found: dict[str, Any] = json.loads((command.folder / "seen.json").read_text())
    return found


async def waits(command: Command) -> None:
    await eventually(lambda: has_said(command, "waiting"), what="the child's first word")


async def has_said(command: Command, words: str) -> bool:
    log = command.folder / child.LOG
    return log.exists() and words in log.read_text()


async def test_a_forked_child_finds_what_a_new_one_does(tmp_path: Path) -> None:
    folder, lock = tmp_path / "job", tmp_path / "lock"
    with lock.open("wb") as held:
        options = {"kept_open": (held.fileno(),), "memory": 2**40, "cuda": "3"}
        cold = await seen(mirror(folder, "compute", warm=0, **options))
        warm = await seen(mirror(folder, **options))
    assert warm == cold
    assert (folder / child.LOG).read_text() == "300 by 2 threads\n" * 2
    assert str(lock) in warm["open"]


async def test_nothing_of_one_child_is_seen_by_the_next(tmp_path: Path) -> None:
    one = mirror(tmp_path / "one", "wait", extra={"SECRET": "of the first"})
    async with running(one):
        await waits(one)
        two = await seen(mirror(tmp_path / "two"))
    assert "of the first" not in json.dumps(two)
    assert str(tmp_path / "one") not in json.dumps(two)


async def test_left_or_cancelled_a_child_is_killed_with_its_session(tmp_path: Path) -> None:
    command = mirror(tmp_path / "left", "wait")
    async with running(command) as process:
        pid = process.pid
        await waits(command)
    assert not alive(pid)

    command = mirror(tmp_path / "cancelled", "wait")
    task = asyncio.ensure_future(until_killed(command))
    await waits(command)
    [pid] = [pid for pid in engines(os.getpid()) if Path(f"/proc/{pid}/cwd").readlink() == command.folder]
    task.cancel()
    await asyncio.wait([task])
    assert not alive(pid)


async def until_killed(command: Command) -> int:
    async with running(command) as process:
        return await process.wait()


async def test_a_child_is_asked_to_stop_from_its_first_moment_on(tmp_path: Path) -> None:
    for turn in range(5):
        async with running(mirror(tmp_path / str(turn), "wait")) as process:
            child.ask_to_stop(process)
            assert await process.wait() == -signal.SIGTERM


@pytest.mark.usefixtures("own_server")
async def test_killed_with_its_server_a_child_counts_as_killed_and_the_next_has_a_new_one(tmp_path: Path) -> None:
    command = mirror(tmp_path / "lost", "wait")
    async with running(command) as process:
        await waits(command)
        assert fork_server._process
        os.kill(server := fork_server._process.pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
        await eventually(lambda: has_gone(process.pid), what="the child's end")
    await seen(mirror(tmp_path / "next"))
    assert fork_server._process.pid != server


async def has_gone(pid: int) -> bool:
    return not alive(pid)


@pytest.mark.usefixtures("own_server")
async def test_one_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await seen(mirror(tmp_path / "first"))
    hangs = fork_server._process
    assert hangs
    os.kill(hangs.pid, signal.SIGSTOP)
    monkeypatch.setattr(client, "_START_SECONDS", 5.0)
    await seen(mirror(tmp_path / "second"))
    assert hangs.wait() == -signal.SIGKILL


@pytest.mark.usefixtures("own_server")
async def test_it_ends_when_it_had_nothing_to_do_and_comes_back(tmp_path: Path) -> None:
    await seen(mirror(tmp_path / "first", warm=0.2))
    first = fork_server._process
    assert first
    assert first.wait(30) == 0
    await seen(mirror(tmp_path / "second"))
    assert fork_server._process is not first


@pytest.mark.usefixtures("own_server")
async def test_where_it_cannot_start_jobs_start_cold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client, "_READY", ("no_such_module",))
    for turn in range(2):
        command = mirror(tmp_path / str(turn))
        async with running(command) as process:
            assert not isinstance(process, Forked)
            assert await process.wait() == 7
    assert [line.message for line in caplog.records if "fork server" in line.message] == [
        "jobs start cold from now on: the fork server has ended, this log may say why"
    ]


async def test_a_slots_second_job_starts_warm_and_is_the_same_as_a_cold_one(house: House) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    warm = await students_of(house, teacher, data, 2)
    house.settings = house.settings.model_copy(update={"warm_seconds": 0.0})
    assert set(warm) == set(await students_of(house, teacher, data, 1))


async def students_of(house: House, teacher: str, data: str, count: int) -> list[str]:
    """Train as many students on one worker, one after the other; return their hashes."""
    students = []
    with worker(house.settings) as at_work:
        for _ in range(count):
            job_id = await house.submit_on(teacher, data)
            await eventually(partial(house.is_over, job_id), seconds=90, what="the end of the job")
            students.append((await house.artifacts(job_id))["student"].sha256)
        servers = [pid for slot in at_work.slots() for pid in children(slot)]
        assert len(servers) == bool(house.settings.warm_seconds)
        assert not at_work.engines()
    wait_until(lambda: not any(alive(pid) for pid in servers), what="the fork server's end")
    return students
