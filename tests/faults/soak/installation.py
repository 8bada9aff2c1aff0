"""A real installation to be tormented: API, broker, janitor and workers, each a process of its own."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from app.settings import Settings
from stillhouse.embedded import broker
from tests.api.living import LivingApi
from tests.faults.house import worker
from tests.packaging.gateway import free_port
from tests.servers import process, wait_until
from tests.worker.workers import Worker

WORKERS, SLOTS = 3, 2


class Broker:
    """Valkey as `stillhouse serve` starts it: what was queued is on disk within a second."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._socket = folder, folder / "broker.sock"
        self._life = ExitStack()
        self._pid = 0
        self.url = f"redis+socket://{self._socket}"

    def start(self) -> None:
        command = broker.command(self._folder, self._socket)
        self._pid = self._life.enter_context(process(command, self._folder / "broker.log")).pid
        wait_until(lambda: broker.answers(self._socket), what="the broker's first answer")

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._life.close()

    def wipe(self) -> None:
        """Remove what it has on disk."""
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)

    def close(self) -> None:
        self._life.close()


class Place:
    """Where a worker stands: whoever ends there is followed by another."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._settings, self.role = settings, role
        self._life = ExitStack()
        self._frozen: list[int] = []
        self.worker: Worker
        self.start()

    def start(self) -> None:
        self._life.close()
        self.worker = self._life.enter_context(worker(self._settings, self.role, ready=False))

    @property
    def ended(self) -> bool:
        return self.worker.main.poll() is not None

    @property
    def frozen(self) -> bool:
        return bool(self._frozen)

    def pids(self) -> list[int]:
        """Return main process and slots, without the engines."""
        return [] if self.ended else [self.worker.main.pid, *self.worker.slots()]

    def freeze(self) -> None:
        self._frozen = self.pids()
        send(signal.SIGSTOP, self._frozen)

    def thaw(self) -> None:
        send(signal.SIGCONT, self._frozen)
        self._frozen = []

    def close(self) -> None:
        self.thaw()
        self._life.close()


def send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


class Installation:
    def __init__(self, settings: Settings, broker: Broker) -> None:
        self.settings, self.broker = settings, broker
        self.api = LivingApi(settings, free_port(), settings.data / "api.log")
        self.api.start()
        self.places: list[Place] = []
        for role in ["housekeeping", *["distill"] * WORKERS]:
            self.places.append(Place(settings, role))

    @property
    def workers(self) -> list[Place]:
        """Return those that take jobs, that are there, and can do something."""
        return [place for place in self.places if place.role == "distill" and not place.ended and not place.frozen]

    @property
    def janitor(self) -> Place:
        return self.places[0]

    def tend(self) -> None:
        """Start another worker wherever one has ended, as a service manager does."""
        for place in self.places:
            if place.ended:
                place.start()

    def close(self) -> None:
        for place in self.places:
            place.thaw()
            place.worker.kill(signal.SIGTERM)  # all at once: each may take its time
        for place in self.places:
            place.close()
        self.api.kill()


@contextmanager
def installed(folder: Path, database_url: str) -> Iterator[Installation]:
    """Run everything; `database_url` names a database with a schema."""
    (folder / "broker").mkdir()
    (folder / "data").mkdir()
    broker = Broker(folder / "broker")
    broker.start()
    try:
        installation = Installation(settings(folder / "data", database_url, broker.url), broker)
        try:
            yield installation
        finally:
            installation.close()
    finally:
        broker.close()


def settings(data: Path, database_url: str, broker_url: str) -> Settings:
    """Everything quick, so that minutes hold what else takes hours."""
    return Settings(
        data=data,
        database_url=database_url,
        broker_url=broker_url,
        slots=SLOTS,
        threads=1,
        free_space_floor_bytes=0,
        lease_seconds=4,
        limit_queued_jobs=0,
        limit_requests_per_minute=0,
        heartbeat_seconds=0.5,
        relay_seconds=0.2,
        stop_grace_seconds=10,
        sweep_seconds=1,
        ring_again_seconds=1,
    )
