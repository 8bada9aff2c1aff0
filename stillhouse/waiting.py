"""Polling: ask again, at growing intervals, until something is so."""

import time
from collections.abc import Callable
from typing import TypeVar

from stillhouse.errors import WaitTimeout

Seen = TypeVar("Seen")
SHORTEST, LONGEST = 0.05, 1.0
"""Seconds between two looks: doubled each time."""


def wait_until(look: Callable[[], Seen], done: Callable[[Seen], bool], timeout: float | None, what: str) -> Seen:
    """Return the first look that is done; raise WaitTimeout after `timeout` seconds (None: never)."""
    start, pause = time.monotonic(), SHORTEST
    while not done(seen := look()):
        if timeout is not None and time.monotonic() - start + pause > timeout:
            raise WaitTimeout(f"{what} took longer than {timeout:g} s")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)
    return seen
