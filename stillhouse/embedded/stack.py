"""`EmbeddedStack`: broker, migrations, API, workers, housekeeping, in this order, on one machine, without root."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2

from app.contract.accounts import HOW_TO_BEGIN
from stillhouse.embedded import broker
from stillhouse.embedded.children import Child, stop_together, wait_for
from stillhouse.embedded.folder import DataFolder
from stillhouse.embedded.port import HOST, bind, is_loopback, url_of
from stillhouse.errors import StillhouseError

START_SECONDS = 90.0
MIGRATION_SECONDS = 300.0


class NotReady(StillhouseError):
    """The processes run, but the service does not say that it is ready."""


class NoKeys(StillhouseError):
    """Others would reach a service that cannot tell who they are."""


class EmbeddedStack:
    """A running service while the `with` block lasts; `url` is where it answers.

    `data`: its folder (None: a temporary one, removed at the end). `port`: 0 takes a free one. `workers`: jobs at once.
    `host`: the address to listen on; one that others reach needs an API key first (raises NoKeys).
    STILLHOUSE_BROKER_URL, STILLHOUSE_DATABASE_URL and STILLHOUSE_STORE_URL, where set, are used in place of the
    embedded parts. Start it from a thread that lives as long as it shall: its processes die with that thread.
    """

    def __init__(self, data: Path | str | None = None, *, port: int = 0, workers: int = 1, host: str = HOST) -> None:
        self._data = data
        self._host = host
        self._port = port
        self._workers = workers
        self._children: list[Child] = []
        self._cleanup = ExitStack()
        self.url = ""
        self.folder = Path()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def check(self) -> None:
        """Raise ChildDied if a process of the stack has ended."""
        for child in self._children:
            child.check()

    def kill(self) -> None:
        """End every process at once, without grace."""
        for child in self._children:
            child.kill()

    def _start(self) -> None:
        if self._data is None:
            self._data = self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="stillhouse-data-"))
        folder = DataFolder(Path(self._data))
        self._cleanup.callback(folder.close)
        self.folder = folder.path
        listener = self._cleanup.enter_context(bind(self._port, self._host))
        self.url = url_of(listener)
        folder.note(self.url)
        self._run(folder, listener.fileno())

    def _run(self, folder: DataFolder, descriptor: int) -> None:
        environment = _environment(folder, self._workers)
        python = [sys.executable, "-P"]  # -P: a folder `app` where the user stands is not ours
        if "STILLHOUSE_BROKER_URL" not in environment:
            environment["STILLHOUSE_BROKER_URL"] = self._start_broker(folder, environment)
        migrations = self._child("migrations", [*python, "-m", "migrations"], folder, environment)
        migrations.finish(MIGRATION_SECONDS)
        self._children.remove(migrations)
        if not is_loopback(self._host):
            self._require_key([*python, "-m", "app.accounts", "exist"], folder, environment)
        api = [*python, "-m", "uvicorn", "--factory", "app.main:create_app"]
        api += ["--http", "app.api.deadlines:Deadlines", "--fd", str(descriptor)]
        api += ["--timeout-graceful-shutdown", "3"]  # those who follow a job would keep it for hours
        self._child("api", api, folder, environment, descriptors=[descriptor])
        grace = float(environment.get("STILLHOUSE_STOP_GRACE_SECONDS", "30")) + 5
        for number in range(1, self._workers + 1):
            self._child(f"worker-{number}", [*python, "-m", "worker", "distill"], folder, environment, grace=grace)
        self._child("housekeeping", [*python, "-m", "worker", "housekeeping"], folder, environment)
        self._cleanup.callback(self._stop_workers)
        if not wait_for(self._answers, self._children, START_SECONDS):
            raise NotReady(f"{self.url}/readyz did not say ready within {START_SECONDS:g} s; logs: {folder.logs}")

    def _require_key(self, command: list[str], folder: DataFolder, environment: dict[str, str]) -> None:
        found = subprocess.run(  # noqa: S603  # the command is the stack's own
            command,
            cwd=folder.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        if found.returncode:
            reason = found.stderr.strip() or f"there is no API key yet: {HOW_TO_BEGIN}"
            raise NoKeys(f"not started on {self._host}, where others reach it: {reason}")

    def _start_broker(self, folder: DataFolder, environment: dict[str, str]) -> str:
        listens_on = folder.sockets / "broker.sock"
        files = folder.path / "broker"
        files.mkdir(exist_ok=True)
        child = self._child("broker", broker.command(files, listens_on), folder, environment)
        if not wait_for(lambda: broker.answers(listens_on), [child], START_SECONDS):
            raise NotReady(f"the broker did not answer within {START_SECONDS:g} s; its log: {child.log}")
        return f"redis+socket://{listens_on}"

    def _child(
        self,
        name: str,
        command: list[str],
        folder: DataFolder,
        environment: dict[str, str],
        *,
        descriptors: list[int] | None = None,
        grace: float = 5.0,
    ) -> Child:
        child = Child(
            name,
            command,
            folder=folder.path,
            log=folder.log(name),
            environment=environment,
            descriptors=descriptors or (),
            grace=grace,
        )
        self._children.append(child)
        self._cleanup.callback(child.stop)
        return child

    def _stop_workers(self) -> None:
        """Stop those that work at the same time: they need broker and database until their end."""
        stop_together([child for child in self._children if child.name.startswith(("worker", "housekeeping"))])

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=5.0, trust_env=False).is_success
        except httpx2.TransportError:
            return False


def _environment(folder: DataFolder, workers: int) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if value or not name.startswith("STILLHOUSE_")}
    environment |= {"STILLHOUSE_DATA": str(folder.path), "PYTHONUNBUFFERED": "1"}
    environment.setdefault("STILLHOUSE_LOG_FORMAT", "text")  # its log files are for people
    if workers > 1:  # each worker would take all cores, and two that do are slower than one
        share = max(1, len(os.sched_getaffinity(0)) // workers)
        environment.setdefault("STILLHOUSE_THREADS", str(share))
    return environment
