"""What every Linux has: dying with the parent, no new privileges, bounds on what a process may use."""

import ctypes
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_FIRST_TO_GO = 500
"""As if it used half of the memory more than it does."""
_LARGEST_FILE = 64 * 2**30


def die_with(parent: int) -> None:
    """Be killed when the process that started this one ends."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)


def gain_no_privileges() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def go_first() -> None:
    """Have the kernel end this process before the worker where memory runs out: a job goes on from its checkpoint."""
    path = Path("/proc/self/oom_score_adj")
    with suppress(OSError):  # some kernels of containers have none
        path.write_text(str(max(int(path.read_text()), _FIRST_TO_GO)))


def bound(memory: int | None) -> None:
    """Dump no core, write no endless file, take no more than `memory` bytes of address space where that is told."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    if memory is not None:
        _limit(resource.RLIMIT_AS, memory)


def prctl(option: int, value: int, pointer: int | None = None) -> None:
    """Call prctl(2). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, ctypes.c_void_p(pointer), 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))
