"""The end of a process, with the exit code that it means."""

import os
import sys
from typing import NoReturn


def end(code: int) -> NoReturn:
    """End with this code, also where what was printed found no room: Python would answer 120 then."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # where Python's own last try goes
    sys.exit(code)
