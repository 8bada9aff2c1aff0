"""The slots of this host, and which CUDA device each of them uses. Asks the driver, never torch.

A slot is a place on a device, held by a lock on a file in <data>/devices/ that is named after the device itself, not
after what a worker calls it: so two workers on one data folder never put more jobs on a device than either of them
would. The engine holds the lock together with its slot. The kernel lets go of it when both have ended, whatever
happened to them: no job is put beside the rest of another.

A job of several devices gets them all at once, or none: no two jobs ever wait for what the other one holds.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Self

from app.contract.devices import CPU, Devices
from app.settings import Settings
from worker import gpus

_TRIES, _BETWEEN_TRIES = 50, 0.02
"""At a file that others hold for a moment each."""


@dataclass(frozen=True)
class Slot:
    """Where one job runs."""

    threads: int
    """Of each of its processes."""
    cuda: str | None = None
    """CUDA_VISIBLE_DEVICES of the job; None on a host without CUDA."""
    locks: tuple[int, ...] = ()
    """The descriptors that hold its places, for the engine to hold as well."""
    processes: int = 1
    """One a device."""


@dataclass(frozen=True)
class Place:
    """One on a device: of all that a device has, each may be another job's."""

    device: str
    """As CUDA_VISIBLE_DEVICES names it."""
    identity: str
    """Whatever it is called."""
    turn: int = 0

    @property
    def file(self) -> str:
        return f"{self.identity}.{self.turn}".replace("/", "_")


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


class Host:
    """The devices that a worker may use, for as long as this is entered; which are free shows when they are taken.

    `slot` is what was taken last, and is let go of at the end.
    """

    def __init__(self, threads: int = 1, places: Sequence[Place] = (), folder: Path = Path()) -> None:
        """`threads`: of a job with one process. No `places`: a host without CUDA."""
        self._threads, self._places, self._folder = threads, places, folder
        self._held = ExitStack()
        self.slot: Slot | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    @property
    def most(self) -> Devices:
        """The most devices that a job gets here, were all of them free."""
        return Devices.of_worker({place.identity for place in self._places} or [CPU])

    def take(self, devices: int) -> bool:
        """Take a slot with so many devices, all or none, in place of what was taken before."""
        self._held.close()
        self.slot = self._with_cuda(devices) if self._places else self._without(devices)
        return self.slot is not None

    def _without(self, devices: int) -> Slot:
        return Slot(max(1, self._threads // devices), processes=devices)

    def _with_cuda(self, devices: int) -> Slot | None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with _nobody_else(self._folder / "taking") as alone, ExitStack() as held:
            found = self._free(devices, held) if alone else {}
            if len(found) < devices:
                return None
            self._held = held.pop_all()
        names = ",".join(place.device for place, _ in found.values())
        locks = tuple(lock for _, lock in found.values())
        return Slot(min(self._threads, max(1, _cores() // devices)), names, locks, devices)

    def _free(self, devices: int, held: ExitStack) -> dict[str, tuple[Place, int]]:
        """Hold places on up to so many devices; return each device's place, and the descriptor that holds it."""
        found: dict[str, tuple[Place, int]] = {}
        for place in self._places:
            if len(found) == devices:
                break
            if place.identity not in found and (lock := _lock(self._folder / place.file, held)) is not None:
                found[place.identity] = place, lock
        return found


def host(settings: Settings) -> Host:
    """Return this host as the settings share it out."""
    installed = cache(gpus.installed)
    devices = _visible(installed)
    slots = _slots(settings, devices)
    # More threads than cores cost a job most of its speed.
    threads = settings.threads or max(1, _cores() // slots)
    places = _places(devices, max(slots, len(devices)), installed()) if devices else []
    return Host(threads, places, settings.data / "devices")


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _places(devices: Sequence[str], count: int, known: Sequence[gpus.Installed]) -> list[Place]:
    """Return so many places: each device gets its first job before any its second."""
    turns = ((devices[number % len(devices)], number // len(devices)) for number in range(count))
    return [Place(name, gpus.identity(name, known), turn) for name, turn in turns]


@contextmanager
def _nobody_else(path: Path) -> Iterator[bool]:
    """Yield whether no other slot of this host is about to take devices: else each might take what the other lacks."""
    with ExitStack() as held:
        for _ in range(_TRIES):
            if _lock(path, held) is not None:
                break
            time.sleep(_BETWEEN_TRIES)
        else:
            yield False
            return
        yield True


def _lock(path: Path, held: ExitStack) -> int | None:
    """Hold a file as long as the stack; return its descriptor, None where somebody else holds it."""
    with ExitStack() as opened:
        file = opened.enter_context(path.open("ab"))
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held.push(opened.pop_all())
            return file.fileno()
    return None
