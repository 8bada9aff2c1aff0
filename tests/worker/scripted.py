"""A stand-in for the engine: a real child on a real job directory, that does what the test wrote into `script.json`.

Each step is [verb, argument]; what an attempt has begun is not done again by the next.
"""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

stopped: list[bool] = []
eaten: list[bytes] = []


def write(argument: str) -> None:
    """Append to the events, as they are."""
    with Path("events.jsonl").open("a") as file:
        file.write(argument)


def show_environment(name: str) -> None:
    Path(name).write_text(json.dumps(dict(os.environ)))


def show_limits(name: str) -> None:
    Path(name).write_text(json.dumps({"memory": resource.getrlimit(resource.RLIMIT_AS)[0]}))


def wait_for_sigterm(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not stopped and time.monotonic() < deadline:
        time.sleep(0.02)


def wait_for(name: str) -> None:
    while not Path(name).exists():
        time.sleep(0.02)


def touch_for(seconds: float) -> None:
    """Say nothing, and yet show a sign of life."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        os.utime("events.jsonl")
        time.sleep(0.05)


def eat(size: int) -> None:
    """Take so many bytes of memory, for real."""
    eaten.append(b"x" * size)


def end_when_asked(code: int) -> None:
    wait_for_sigterm(30)
    sys.exit(code)


def make(files: dict[str, str]) -> None:
    Path("out").mkdir(exist_ok=True)
    for path, text in files.items():
        Path(path).write_text(text)


VERBS: dict[str, Callable[[Any], object]] = {
    "write": write,
    "report": lambda event: write(json.dumps(event) + "\n"),
    "print": sys.stdout.write,
    "wait": wait_for_sigterm,
    "wait for": wait_for,
    "end when asked": end_when_asked,
    "sleep": time.sleep,
    "touch for": touch_for,
    "eat": eat,
    "score": lambda name: Path(name).write_text(Path("/proc/self/oom_score_adj").read_text()),
    "environment": show_environment,
    "limits": show_limits,
    "make": make,
    "die": lambda number: os.kill(os.getpid(), number),
    "exit": sys.exit,
}


def main(folder: Path) -> None:
    os.chdir(folder)
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    begun = Path("begun.txt")
    start = int(begun.read_text()) if begun.exists() else 0
    for number, (verb, argument) in enumerate(json.loads(Path("script.json").read_text())[start:], start + 1):
        begun.write_text(str(number))
        VERBS[verb](argument)
        sys.stdout.flush()
        if stopped:
            sys.exit(75)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
