"""The slots of this host, and which CUDA device each of them uses. Asks the driver, never torch.

A slot is a place on a device, held by a lock on a file in <data>/devices/ that is named after the device itself, not
after what a worker calls it: so two workers on one data folder never put more jobs on a device than either of them
would. The engine holds the lock together with its slot. The kernel lets go of it when both have ended, whatever
happened to them: no job is put beside the rest of another.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

from app.settings import Settings
from worker import gpus


@dataclass(frozen=True)
class Slot:
    """Where one job runs."""

    threads: int
    cuda: str | None = None
    """CUDA_VISIBLE_DEVICES of the job; None on a host without CUDA."""
    locks: tuple[int, ...] = ()
    """The descriptor that holds its place, for the engine to hold as well."""


def cuda_devices() -> list[str]:
    """Return the CUDA devices that this process may use, as CUDA_VISIBLE_DEVICES would name them."""
    return _visible(gpus.installed)


def _visible(installed: Callable[[], Sequence[gpus.Installed]]) -> list[str]:
    """The same; the driver, which takes its time, is asked where the environment names no devices."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        # As CUDA has it: what comes after the first that names nothing is not seen.
        return list(takewhile(_names_something, (name.strip() for name in chosen.split(","))))
    found = installed()
    if not found:
        return [str(number) for number in range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))]
    return [name for gpu in found for name in gpu.parts or (gpu.index,)]


def _names_something(name: str) -> bool:
    return bool(name) and not name.startswith("-")


def slot_count(settings: Settings) -> int:
    """Return how many jobs this host runs at once."""
    return _slots(settings, cuda_devices())


def _slots(settings: Settings, devices: Sequence[str]) -> int:
    return settings.slots or len(devices) or 1


def _threads(settings: Settings, slots: int) -> int:
    """Return the cores of this host divided by its slots: more threads than cores cost a job most of its speed."""
    return settings.threads or max(1, len(os.sched_getaffinity(0)) // slots)


@contextmanager
def take_slot(settings: Settings) -> Iterator[Slot | None]:
    """Hold a slot; None where every device is taken."""
    installed = cache(gpus.installed)
    devices = _visible(installed)
    slots = _slots(settings, devices)
    threads = _threads(settings, slots)
    if not devices:
        yield Slot(threads)
        return
    with _first_free(settings.data / "devices", _places(devices, slots, installed())) as taken:
        yield Slot(threads, taken[0], (taken[1],)) if taken else None


def _places(devices: Sequence[str], slots: int, known: Sequence[gpus.Installed]) -> list[tuple[str, str]]:
    """Return a device and a place on it for each slot: each device gets its first job before any its second."""
    turns = ((devices[number % len(devices)], number // len(devices)) for number in range(slots))
    return [(name, f"{gpus.identity(name, known)}.{turn}".replace("/", "_")) for name, turn in turns]


@contextmanager
def _first_free(folder: Path, places: Sequence[tuple[str, str]]) -> Iterator[tuple[str, int] | None]:
    """Hold the first place that nobody does: its device, and the descriptor that holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    for device, place in places:
        with (folder / place).open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield device, file.fileno()
            return
    yield None
