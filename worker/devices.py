"""The slots of this host, and which CUDA device each of them uses. Asks the driver, never torch.

A slot is held by a lock on a file in <data>/devices/: the kernel lets go of it whatever happens to the holder, so two
workers on one host never put two jobs on one device.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings

_DRIVER_SECONDS = 20


@dataclass(frozen=True)
class Slot:
    """Where one job runs."""

    threads: int
    cuda: str | None = None
    """CUDA_VISIBLE_DEVICES of the job; None on a host without CUDA."""


def cuda_devices() -> list[str]:
    """Return the CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES would name them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        names = [name.strip() for name in chosen.split(",")]
        return [name for name in names if name and not name.startswith("-")]
    return [str(number) for number in range(_installed())]


def _installed() -> int:
    program = shutil.which("nvidia-smi")
    if program is None:
        return len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    try:
        listed = subprocess.run(  # noqa: S603 - the driver's own program
            [program, "--list-gpus"], capture_output=True, text=True, timeout=_DRIVER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())


def slot_count(settings: Settings) -> int:
    """Return how many jobs this host runs at once."""
    return settings.slots or len(cuda_devices()) or 1


def threads_of_a_job(settings: Settings) -> int:
    """Return the cores of this host divided by its slots: more threads than cores cost a job most of its speed."""
    return settings.threads or max(1, len(os.sched_getaffinity(0)) // slot_count(settings))


@contextmanager
def take_slot(settings: Settings) -> Iterator[Slot | None]:
    """Hold a slot; None where every device is taken."""
    threads, devices = threads_of_a_job(settings), cuda_devices()
    if not devices:
        yield Slot(threads)
        return
    with _first_free(settings.data / "devices", slot_count(settings)) as number:
        yield None if number is None else Slot(threads, devices[number % len(devices)])


@contextmanager
def _first_free(folder: Path, count: int) -> Iterator[int | None]:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        with (folder / f"slot-{number}").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield number
            return
    yield None
