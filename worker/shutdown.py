"""How the end of a worker reaches the jobs that its slots run.

Celery tells only its main process. A pipe made before the slots are forked carries the word to all of them: it becomes
readable once and stays so. A service manager that signals every process of the worker is understood as well.
"""

import asyncio
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Shutdown:
    """Announced by the main process, noticed in the slots."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def announce(self) -> None:
        os.write(self._writer, b".")

    def announced(self) -> bool:
        return bool(select.select([self._reader], [], [], 0)[0])

    @contextmanager
    def sets(self, stop: asyncio.Event) -> Iterator[None]:
        """While entered, set `stop` when the worker has to end. Needs the running loop of the main thread."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            loop.remove_reader(self._reader)  # it stays readable: once is enough
            stop.set()

        loop.add_reader(self._reader, heard)
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        try:
            yield
        finally:
            loop.remove_reader(self._reader)
            loop.remove_signal_handler(signal.SIGTERM)
