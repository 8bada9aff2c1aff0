"""SIGTERM (and Ctrl-C) set a flag; whoever works looks at it between two steps, and by that shows that it lives."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import FrameType

from worker.engine.failures import Stopped

_PULSE_SECONDS = 5.0


class StopSignal:
    """Whether a stop was asked for."""

    def __init__(self) -> None:
        self.requested = False
        self.pulse: Path | None = None
        """A file whose time of change tells others when somebody last looked here."""
        self._shown = monotonic()

    def install(self) -> None:
        """Let SIGTERM and SIGINT ask for a stop. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.requested:
            raise Stopped
        self.show()

    def show(self) -> None:
        """Show that this process lives."""
        if self.pulse and monotonic() - self._shown >= _PULSE_SECONDS:
            self._shown = monotonic()
            with suppress(OSError):
                os.utime(self.pulse)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
