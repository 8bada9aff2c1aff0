"""Which walls a child is given, which this host has, and going behind them."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from worker.sandbox import landlock, limits, seccomp

LAYERS = ("no_new_privs", "rlimits", "landlock", "seccomp")
_PROGRAMS = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/proc/self",
             "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/sys/devices/system",
             "/dev/urandom", "/dev/random", "/dev/zero")  # fmt: skip
"""What Python, torch and the C library read of a system."""
_SINKS = ("/dev/null",)
_CUDA_READS = ("/proc/driver/nvidia", "/proc/devices", "/proc/modules", "/proc/driver/nvidia-uvm", "/sys/bus/pci",
               "/sys/devices", "/sys/class", "/sys/module", "/etc/nvidia", "/run/nvidia-persistenced")  # fmt: skip
_CUDA_DEVICES = "nvidia*"


@dataclass(frozen=True)
class Walls:
    """What a child may use. Travels as JSON."""

    parent: int
    """The process to die with."""
    write: tuple[str, ...]
    """Folders that it reads and writes."""
    read: tuple[str, ...] = ()
    """Folders that it reads beside those of Python itself."""
    memory: int | None = None
    """Bytes of address space."""
    cuda: bool = False
    strict: bool = False
    """Refuse to go on where the host lacks a wall."""
    first: str = ""
    """`module:function` to call before the walls are up: what connects to the other processes of a job."""
    packages: tuple[str, ...] = field(default=())
    """Python packages to find before the walls are up: the folder that they lie in may hold other things."""


class TooOpen(Exception):
    """This host lacks walls that are asked for."""


def available() -> list[str]:
    """Return the layers that this host has."""
    found = {"landlock": landlock.version() > 0, "seccomp": seccomp.available()}
    return [layer for layer in LAYERS if found.get(layer, True)]


def missing() -> list[str]:
    """Return the layers that this host lacks."""
    return [layer for layer in LAYERS if layer not in available()]


def enter(walls: Walls) -> None:
    """Put up the walls around this process, for good. Raises TooOpen, OSError."""
    lacking = missing()
    if walls.strict and lacking:
        raise TooOpen(f"this host lacks {', '.join(lacking)}")
    limits.die_with(walls.parent)
    limits.gain_no_privileges()
    limits.go_first()
    limits.bound(walls.memory)
    if "landlock" not in lacking:
        landlock.enter(_readable(walls), [Path(path) for path in (*walls.write, *_SINKS)], _devices(walls))
    if "seccomp" not in lacking:
        seccomp.enter(all_threads=not walls.cuda)  # NCCL's threads, which are there already, send on sockets


def _readable(walls: Walls) -> Iterator[Path]:
    yield from (Path(folder) for folder in walls.read if folder)
    yield from map(Path, _PROGRAMS)
    yield from map(Path, _python())
    if walls.cuda:
        yield from map(Path, _CUDA_READS)


def _python() -> Iterator[str]:
    """Yield where the interpreter and its packages lie; never the folder that a service's own code lies in."""
    yield from (sys.prefix, sys.base_prefix, sys.exec_prefix)
    yield from (entry for entry in sys.path if Path(entry).name in {"site-packages", "dist-packages"})


def _devices(walls: Walls) -> Iterator[Path]:
    if walls.cuda:
        yield from Path("/dev").glob(_CUDA_DEVICES)
