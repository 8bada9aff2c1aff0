"""Whether a child is still at work: an engine that hangs is killed, for it would hold its device for ever."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path
from time import monotonic

from worker import child
from worker.relay import EVENTS
from worker.waiting import happens

_LOOK_SECONDS = 5.0

log = logging.getLogger(__name__)


class Pulse:
    """The signs of life of one child: the engine writes to its files, and touches its events between two batches."""

    def __init__(self, folder: Path, limit: float) -> None:
        """`limit`: seconds without a sign; 0 for no limit."""
        self._files = (folder / EVENTS, folder / child.LOG)
        self._limit = limit
        self._stopped = False

    async def watch(self, process: child.Child, ended: asyncio.Event) -> None:
        """Kill the child once it has been silent for too long; return when it has `ended`."""
        last, heard = self._signs(), monotonic()
        while self._limit and not await happens(ended, min(_LOOK_SECONDS, self._limit / 4)):
            if (now := self._signs()) != last:
                last, heard = now, monotonic()
            elif monotonic() - heard >= self._limit:
                log.warning("killed, no sign of life for %g seconds", self._limit)
                self._stopped = True
                child.kill(process)
                return

    @property
    def remark(self) -> str:
        """Why the child was killed, where it was for this; to be put behind how it ended."""
        return f", because it had shown no sign of life for {self._limit:g} seconds" if self._stopped else ""

    def _signs(self) -> list[int]:
        found = []
        for path in self._files:
            with suppress(FileNotFoundError):
                found.append(path.stat().st_mtime_ns)
        return found
