"""A child process of the embedded stack: dies with this process, logs to a file, stops politely or not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from stillhouse.errors import StillhouseError

LAUNCHER = Path(__file__).with_name("launcher.py")
TAIL_LINES = 20
LOOK_SECONDS = 0.02


class ChildDied(StillhouseError):
    """A process of the embedded stack ended by itself."""

    def __init__(self, child: "Child") -> None:
        code = child.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit status {code}"
        super().__init__(f"the {child.name} {how}; the end of {child.log}:\n{child.tail() or '  (empty)'}")
        self.child = child


class Child:
    """Started by the constructor. The kernel kills it when the *thread* that started it ends, however it ends."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
        descriptors: Sequence[int] = (),
        grace: float = 5.0,
    ) -> None:
        """`grace`: seconds from SIGTERM to SIGKILL when it is stopped."""
        self.name = name
        self.log = log
        self.grace = grace
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603  # the command is the stack's own
                [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                process_group=0,  # so that Ctrl-C reaches only the parent
            )

    @property
    def running(self) -> bool:
        """Look without reaping: until `kill`, its number, and its group's, stay its own."""
        look = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self.process.returncode is None and os.waitid(os.P_PID, self.process.pid, look) is None

    def check(self) -> None:
        """Raise ChildDied if it ended."""
        if not self.running:
            self.kill()
            raise ChildDied(self)

    def finish(self, timeout: float) -> None:
        """Wait for a child that is meant to end; raise ChildDied if it failed or took longer."""
        self._wait(timeout)
        self.kill()
        if self.process.returncode != 0:
            raise ChildDied(self)

    def ask_to_stop(self) -> None:
        if self.running:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """SIGTERM, grace, SIGKILL to the whole group."""
        try:
            self.ask_to_stop()
            self._wait(self.grace)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL what is left of the process and its group, and reap it."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _wait(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while self.running and time.monotonic() < end:
            time.sleep(LOOK_SECONDS)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of its log."""
        with self.log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 16_384))
            text = file.read().decode(errors="replace")
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def stop_together(children: Sequence[Child]) -> None:
    """Ask all of them to stop at once, then wait for each as long as it may take."""
    for child in children:
        child.ask_to_stop()
    for child in children:
        child.stop()


def wait_for(ready: Callable[[], bool], children: Sequence[Child], timeout: float) -> bool:
    """Wait until `ready()`; return False after `timeout` seconds; raise ChildDied if a child ends before."""
    end = time.monotonic() + timeout
    while not ready():
        for child in children:
            child.check()
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_SECONDS)
    return True
