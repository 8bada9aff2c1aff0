"""SIGTERM (and Ctrl-C) set a flag; whoever works looks at it between two steps."""

import signal
from types import FrameType

from worker.engine.failures import Stopped


class StopSignal:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.requested = False

    def install(self) -> None:
        """Let SIGTERM and SIGINT ask for a stop. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.requested:
            raise Stopped

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
