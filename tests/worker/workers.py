"""Real workers: `python -m worker` in processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from app.settings import Settings
from tests.servers import process, wait_until


def environment(settings: Settings, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a worker of this service finds in its environment."""
    passed_on = {name: value for name, value in os.environ.items() if not name.startswith("STILLHOUSE_")}
    ours = {
        f"STILLHOUSE_{name.upper()}": json.dumps(value) if isinstance(value, list) else str(value)
        for name, value in settings.model_dump(exclude={"s3_secret_access_key"}).items()
        if name in settings.model_fields_set
    }
    secret = settings.s3_secret_access_key.get_secret_value()
    return {**passed_on, **ours, "STILLHOUSE_S3_SECRET_ACCESS_KEY": secret, **(extra or {})}


class Worker:
    """A running worker, and the tree of its processes."""

    def __init__(self, main: subprocess.Popen[bytes], log: Path) -> None:
        self.main, self._log = main, log

    def said(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def ready(self) -> bool:
        assert self.main.poll() is None, self.said()
        return " ready." in self.said()

    def processes(self) -> list[int]:
        """Return the ids of main process, slots and engines."""
        found = [self.main.pid]
        for pid in found:
            found += children(pid)
        return found

    def slots(self) -> list[int]:
        return children(self.main.pid)

    def engines(self) -> list[int]:
        return [engine for slot in self.slots() for engine in engines(slot)]

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.main.send_signal(number)

    def ended(self, seconds: float = 30) -> int:
        return self.main.wait(seconds)


def children(pid: int) -> list[int]:
    """Return the ids of a process's children; none if it has ended."""
    found: list[int] = []
    for file in Path("/proc").glob(f"{pid}/task/*/children"):
        try:
            found += map(int, file.read_text().split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def engines(slot: int) -> list[int]:
    """Return the ids of what a slot runs jobs in: its own children and, in the place of its fork server, that one's."""
    found = []
    for child in children(slot):
        found += children(child) if "worker.forkserver" in command_of(child) else [child]
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def worker(
    settings: Settings,
    role: str = "distill",
    *,
    ready: bool = True,
    module: str = "worker",
    inside: Sequence[str] = (),
    **extra: str,
) -> Iterator[Worker]:
    """Run a worker; by default, come back when it takes work. `inside`: a command that runs another one."""
    settings.data.mkdir(parents=True, exist_ok=True)
    log = settings.data / f"{role}-{len(list(settings.data.glob('*.log')))}.log"
    command = [*inside, sys.executable, "-P", "-m", module, role]
    with process(command, log, environment(settings, extra), grace=settings.stop_grace_seconds) as main:
        running = Worker(main, log)
        if ready:
            wait_until(running.ready, what=f"a {role} worker's start")
        yield running


@contextmanager
def api(settings: Settings, log: Path, **extra: str) -> Iterator[httpx2.Client]:
    """Run the API in a process of its own."""
    command = [sys.executable, "-P", "-m", "uvicorn", "--factory", "app.main:create_app", "--port", "0"]
    with process(command, log, environment(settings, extra), grace=30):
        wait_until(lambda: "Uvicorn running" in log.read_text(), seconds=90, what="the API's start")
        url = re.findall(r"Uvicorn running on (http://[\d.:]+)", log.read_text())[0]
        with httpx2.Client(base_url=url) as client:
            yield client


@contextmanager
def workers(settings: Settings, *roles: str) -> Iterator[list[Worker]]:
    """Run several at once; they start side by side."""
    if not roles:
        yield []
        return
    with worker(settings, roles[0], ready=False) as first, workers(settings, *roles[1:]) as others:
        wait_until(first.ready, what=f"a {roles[0]} worker's start")
        yield [first, *others]


def loaded(pid: int, library: str) -> bool:
    """Return whether a process has mapped a library of this name."""
    return library in Path(f"/proc/{pid}/maps").read_text()
