"""The kernel's own end to an engine that took too much memory: told from other kills where the kernel tells."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import update

from app.contract.job_file import MOST_HALVINGS
from app.contract.states import FailureCode, JobState
from app.db.tables import Job
from tests.worker.conftest import House
from tests.worker.test_full_disk import distill, submit
from tests.worker.test_supervisor import FINISH
from worker import oom, supervisor

pytestmark = pytest.mark.anyio
MIB = 2**20
EVENTS = "low 0\nhigh 0\nmax 31\noom 4\noom_kill {}\noom_group_kill 0\n"
CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n"
VMSTAT = "nr_free_pages 5\nnr_zone_inactive_anon 9\noom_kill {}\ndrop_pagecache 0\n"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.mark.parametrize(
    ("groups", "files", "found"),
    [
        ("0::/kube/pod1\n", {"sys/fs/cgroup/kube/pod1/memory.events": EVENTS, "proc/vmstat": VMSTAT}, 1),
        ("0::/\n", {"sys/fs/cgroup/memory.events": EVENTS, "proc/vmstat": VMSTAT}, 1),
        ("0::/../elsewhere\n", {"sys/fs/cgroup/memory.events": EVENTS}, 1),
        ("4:memory:/docker/a\n0::/\n", {"sys/fs/cgroup/memory/docker/a/memory.oom_control": CONTROL}, 1),
        ("3:cpu,memory:/docker/a\n", {"sys/fs/cgroup/memory/memory.oom_control": CONTROL}, 1),
        ("4:memory:/a\n", {"sys/fs/cgroup/memory/a/memory.oom_control": "under_oom 0\n", "proc/vmstat": VMSTAT}, 2),
        ("0::/\n", {"proc/vmstat": VMSTAT}, 1),
        ("0::/\n", {"proc/vmstat": "nr_free_pages 5\n"}, None),
        (None, {}, None),
    ],
    ids=[
        "v2",
        "v2 at the top",
        "v2 seen from inside",
        "v1",
        "v1 seen from inside",
        "old v1",
        "host",
        "old host",
        "none",
    ],
)
def test_the_narrowest_place_tells(
    tmp_path: Path, groups: str | None, files: dict[str, str], found: int | None
) -> None:
    if groups is not None:
        files = {**files, "proc/self/cgroup": groups}
    for number, (name, text) in enumerate(files.items(), 1):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(number))
    assert oom.kills(tmp_path) == found


@contextmanager
def memory_group(limit: int) -> Iterator[None]:
    """Put this process, and what it starts, into a memory group that may grow by so much; skips where denied."""
    version_1, version_2 = oom._groups(Path("/proc/self/cgroup"))
    own = Path("/sys/fs/cgroup/memory", version_1) if version_1 is not None else Path("/sys/fs/cgroup", version_2 or "")
    group, name = (
        own / f"stillhouse-test-{os.getpid()}",
        "memory.limit_in_bytes" if version_1 is not None else "memory.max",
    )
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no memory groups for users here: {error}")
    try:
        try:
            (group / name).write_text(str(limit))
            (group / "cgroup.procs").write_text("0")
        except OSError as error:
            pytest.skip(f"no memory groups for users here: {error}")
        yield
    finally:
        (own / "cgroup.procs").write_text("0")
        group.rmdir()


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_the_kernel_kills_the_engine_and_micro_batches_are_halved(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    limit = 1024 * MIB + resident()  # the largest is killed: not a test run that has grown large itself
    # Cold: a fork server that is there already lies outside of the group.
    house.settings = house.settings.model_copy(update={"warm_seconds": 0.0})
    saved = await submit(house, ["eat", 2 * limit], *FINISH)
    lost = await submit(house, ["eat", 2 * limit])
    async with house.database.transaction() as session:
        await session.execute(update(Job).where(Job.id == lost).values(halvings=MOST_HALVINGS))
    with memory_group(limit):
        await distill(house)
        await distill(house)
    job = await house.job(saved)
    assert (job.state, job.losses, job.halvings) == (JobState.SUCCEEDED, 0, 1)
    job = await house.job(lost)
    assert (job.state, job.failure_code, job.losses) == (JobState.FAILED, FailureCode.OUT_OF_MEMORY, 0)
    assert job.failure_detail
    assert "the kernel killed the engine" in job.failure_detail


async def test_a_kill_by_hand_is_a_crash(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    job_id = await submit(house, ["die", signal.SIGKILL])
    for _ in range(3):
        await distill(house)
        (house.settings.data / "jobs" / job_id / "begun.txt").unlink(missing_ok=True)
    job = await house.job(job_id)
    assert (job.state, job.failure_code, job.halvings) == (JobState.FAILED, FailureCode.ENGINE_CRASHED, 0)
    assert job.failure_detail
    assert "memory" in job.failure_detail.splitlines()[0]


async def test_the_engine_is_killed_before_its_worker(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    score = await submit(house, ["make", {"out/student.safetensors": "w", "out/report.json": "{}"}],
                         ["score", "out/report.json"], *FINISH[1:])  # fmt: skip
    await distill(house)
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert await house.json(score, "report") == max(own, 500)
