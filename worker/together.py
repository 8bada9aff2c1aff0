"""The processes of one job, one a device: started together, ended together, with one exit code. Standard library only.

    python -P -m worker.together COUNT WALLS MODULE ARGUMENT...      (the rest as for `worker.sandbox`)

They meet by a file in the job's directory and over the loopback device, and then go behind their walls, each by itself.
What stays outside waits for them, hands a SIGTERM on to all, and lets no one wait long for another that has died. It
ends as they did: with the code of the first that failed for a reason of its own, or killed by the same signal.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from types import FrameType

from worker.sandbox import limits

_LOST, _STOPPED = 76, 75
"""EXIT_PEER_LOST and EXIT_STOPPED of `app.contract.job_file`, whose import takes longer than all of this."""
_GRACE_SECONDS = 20
"""Left to the others where one has died: to notice, to tell what it left, and to end."""


class Together:
    """The processes, by their ids: all have the same command, and a number each."""

    def __init__(self) -> None:
        self._alive: dict[int, int] = {}
        self._codes: dict[int, int] = {}
        """How each ended, in the order in which they did."""
        self._asked = False
        signal.signal(signal.SIGTERM, self._hand_on)
        signal.signal(signal.SIGALRM, self._end)

    def start(self, line: list[str], count: int) -> None:
        meeting = Path.cwd() / "tmp" / f"meeting-{uuid.uuid4().hex}"
        shared = {**os.environ, "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": "lo"}
        # NCCL would connect some peers only when they first talk: behind the walls, where that is too late.
        shared |= {"NCCL_SOCKET_IFNAME": "lo", "NCCL_RUNTIME_CONNECT": "0"}
        shared |= {"STILLHOUSE_MEETING": f"file://{meeting}"}
        for rank in range(count):
            own = {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            # Whatever we hold open for the job, they hold as well: locks on its devices.
            started = subprocess.Popen(line, env=own, close_fds=False)  # noqa: S603 - our own command
            self._alive[started.pid] = rank
        if self._asked:
            self._hand_on(signal.SIGTERM, None)

    def _hand_on(self, number: int, _frame: FrameType | None) -> None:
        self._asked = True
        for pid in self._alive:
            os.kill(pid, number)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._hand_on(signal.SIGKILL, None)

    def wait(self) -> int:
        """Wait for all; return the code of the whole, negative for a signal."""
        while self._alive:
            pid, status = os.wait()
            if pid in self._alive:
                code = os.waitstatus_to_exitcode(status)
                self._codes[self._alive.pop(pid)] = code
                if code not in {0, _STOPPED}:
                    signal.alarm(_GRACE_SECONDS)
        return self._verdict()

    def _verdict(self) -> int:
        leader = self._codes[0]
        if leader in {0, _STOPPED}:
            return leader
        own = [code for code in self._codes.values() if code not in {0, _STOPPED, _LOST}]
        return own[0] if own else leader


def main(count: str, told: str, module: str, *arguments: str) -> int:
    walls = json.loads(told)
    limits.die_with(walls["parent"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    walls["parent"] = os.getpid()
    line = [sys.executable, "-P", "-m", "worker.sandbox", json.dumps(walls), module, *arguments]
    together = Together()
    together.start(line, int(count))
    code = together.wait()
    if code < 0:
        with suppress(OSError):  # SIGKILL has no handler to take away
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
