"""A real service to be fuzzed: the API as a process of its own, an administrator's key, and samples that are ready."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from app.samples import service as samples
from app.settings import Settings
from tests.api.conftest import House
from tests.api.keys import first_key
from tests.api.living import living
from tests.fuzz.hands import finish_the_samples
from tests.packaging.gateway import free_port
from tests.servers import wait_until
from tests.worker.workers import worker

UNLIMITED = {"limit_requests_per_minute": 0, "limit_strangers_per_minute": 0}


@dataclass(frozen=True)
class Service:
    url: str
    key: str
    log: Path
    """What the API wrote."""

    def client(self) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=60, headers={"Authorization": f"Bearer {self.key}"})


@contextmanager
def serving(settings: Settings, *, working: bool) -> Iterator[Service]:
    """Run one on a database with a schema. Real workers do what is submitted, or nobody does."""
    settings = settings.model_copy(update=UNLIMITED)
    settings.data.mkdir(parents=True, exist_ok=True)
    log = settings.data / "api.log"
    with living(settings, free_port(), log) as api, ExitStack() as at_work:
        service = Service(api.url, first_key(settings), log)
        with service.client() as client:
            client.get("/openapi.json").raise_for_status()  # makes the samples
            for role in ("distill", "housekeeping") if working else ():
                at_work.enter_context(worker(settings, role, ready=False))
            if not working:
                House(client, settings).work(finish_the_samples)
            job = f"/v1/jobs/{samples.JOB}"
            wait_until(lambda: client.get(job).json()["state"] == "succeeded", 600, "the sample job")
        yield service
