"""How a word to a worker reaches the jobs that its slots run.

Celery tells only its main process. A pipe made before the slots are forked carries the word to all of them: it is
readable from when the word is given until it is taken back. A service manager that signals every process of the worker
is understood as well.
"""

import asyncio
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager


class Word:
    """Given by the main process, heard in the slots."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def announce(self) -> None:
        if not self.announced():
            os.write(self._writer, b".")

    def withdraw(self) -> None:
        if self.announced():
            os.read(self._reader, 1)

    def announced(self) -> bool:
        return bool(select.select([self._reader], [], [], 0)[0])

    @contextmanager
    def sets(self, stop: asyncio.Event) -> Iterator[None]:
        """While entered, set `stop` when the word is given."""
        loop = asyncio.get_running_loop()

        def heard() -> None:
            loop.remove_reader(self._reader)  # it stays readable: once is enough
            stop.set()

        loop.add_reader(self._reader, heard)
        try:
            yield
        finally:
            loop.remove_reader(self._reader)


class Shutdown(Word):
    """The worker has to end."""

    @contextmanager
    def sets(self, stop: asyncio.Event) -> Iterator[None]:
        """While entered, set `stop` when that is announced, or on SIGTERM. Needs the main thread's running loop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        try:
            with super().sets(stop):
                yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
