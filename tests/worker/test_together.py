"""The processes of a job end together, and as one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from app.contract import job_file
from tests.servers import wait_until
from tests.worker.workers import alive
from worker import together
from worker.sandbox.walls import Walls


@contextmanager
def started(folder: Path, *does: int | str, held: Sequence[int] = ()) -> Iterator["subprocess.Popen[bytes]"]:
    """Start processes that do this. `held`: descriptors of locks."""
    (folder / "tmp").mkdir()
    walls = Walls(parent=os.getpid(), write=(str(folder),), packages=("app", "worker", "tests"))
    line = [sys.executable, "-P", "-m", "worker.together", str(len(does)), json.dumps(asdict(walls)),
            "tests.worker.ranked", str(folder), json.dumps(does)]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(line, cwd=folder, env=environment, pass_fds=held) as process:
        yield process
        process.kill()


def test_the_exit_codes_are_the_contracts() -> None:
    assert (together._LOST, together._STOPPED) == (job_file.EXIT_PEER_LOST, job_file.EXIT_STOPPED)


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ([0, 0], 0),
        ([0, 1], 0),  # the leader has published: what became of the other is the log's
        ([73, "lost"], 73),
        (["lost", 70, "lost"], 70),
        (["lost", -9], -9),
        ([-11, "lost"], -11),
        (["lost", 76], 76),
    ],
)
def test_the_code_is_that_of_who_failed_for_a_reason_of_his_own(
    tmp_path: Path, does: Sequence[int | str], code: int
) -> None:
    with started(tmp_path, *does) as process:
        assert process.wait(60) == code


def test_a_stop_is_handed_on_to_all(tmp_path: Path) -> None:
    with started(tmp_path, "wait", "wait") as process:
        wait_until(lambda: len([*tmp_path.glob("*.ready")]) == 2, what="both")
        process.terminate()
        assert process.wait(60) == job_file.EXIT_STOPPED


def test_all_hold_the_locks_and_die_with_the_one_that_started_them(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("ab") as lock, started(tmp_path, "wait", "wait", held=[lock.fileno()]) as process:
        wait_until(lambda: len([*tmp_path.glob("*.ready")]) == 2, what="both")
        pids = [int((tmp_path / f"{rank}.pid").read_text()) for rank in range(2)]
        for pid in pids:
            assert Path(lock.name) in [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
        process.send_signal(signal.SIGKILL)
        for pid in pids:
            wait_until(lambda pid=pid: not alive(pid), what="its end")  # type: ignore[misc]
