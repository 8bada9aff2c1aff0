"""One job in several processes, as torchrun and our worker start them; here forked, so that they start at once."""

import os
import time
import uuid
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from app.contract.job_file import EXIT_DONE
from tests.engine.forked import ended, run, spawn, steps_reported
from worker.engine.parallel.place import MEETING

TWO: dict[str, int] = {"devices": 2}


def start(folder: Path, size: int = 2, cramped: int | None = None) -> list[ForkServerProcess]:
    """Start a job's processes. `cramped`: the one that runs out of memory where it is to report its first steps."""
    meeting = f"file://{folder}/{uuid.uuid4().hex}"
    return [spawn(_run, folder, rank, size, meeting, rank == cramped) for rank in range(size)]


def _run(folder: Path, rank: int, size: int, meeting: str, cramped: bool) -> None:
    from worker.engine.run import TrainingRun

    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "GLOO_SOCKET_IFNAME": "lo", MEETING: meeting}
    if cramped:
        setattr(TrainingRun, "_log", _run_out)  # noqa: B010 - a stand-in
    run(folder)


def _run_out(_self: object) -> None:
    raise MemoryError("not a byte is left")


def finish(folder: Path) -> None:
    assert codes(start(folder)) == [EXIT_DONE, EXIT_DONE], (folder / "log.txt").read_text()


def codes(processes: Sequence[ForkServerProcess]) -> list[int | None]:
    return [ended(process) for process in processes]


def interrupt(folder: Path, numbers: Sequence[int], steps: int) -> list[int | None]:
    """Send each process its signal once so many more steps were reported; return the exit codes."""
    already = steps_reported(folder)
    processes = start(folder, len(numbers))
    while all(process.is_alive() for process in processes) and steps_reported(folder) < already + steps:
        time.sleep(0.002)
    for process, number in zip(processes, numbers, strict=True):
        if number and process.pid and process.is_alive():
            os.kill(process.pid, number)
    return codes(processes)
