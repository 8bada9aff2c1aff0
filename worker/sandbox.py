"""The walls around a child: entered by the child itself, before anything of a user's is read.

Run as a script, without the package, so that it starts in milliseconds and imports nothing but the standard library:

    python -I -S sandbox.py '{"parent": 123, "memory": 1000000}' PROGRAM ARGUMENT...

- the child dies with the process that started it (PDEATHSIG)
- it cannot gain privileges (no_new_privs), dumps no core, writes no endless file, and may be held to a memory limit

Then the program takes the place of this process.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_LARGEST_FILE = 64 * 2**30


def enter(parent: int, memory: int | None) -> None:
    """Put up the walls. `parent`: the process to die with; `memory`: bytes of address space, or None."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, _LARGEST_FILE)
    if memory is not None:
        _limit(resource.RLIMIT_AS, memory)
    # Landlock and seccomp belong here: what follows is already the child, and nothing of a user's was read yet.


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl {option}: {os.strerror(number)}")


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (allowed, allowed))


def main(arguments: list[str]) -> None:
    walls: dict[str, Any] = json.loads(arguments[0])
    enter(walls["parent"], walls["memory"])
    os.execv(arguments[1], arguments[1:])  # noqa: S606 - the point of this script


if __name__ == "__main__":
    main(sys.argv[1:])
