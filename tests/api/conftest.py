"""A real HTTP server on a real database, and jobs in every state without waiting for a worker."""

import asyncio
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI
from safetensors.numpy import save

from app.api.deadlines import Deadlines
from app.contract.inspection import DatasetInspection, Lengths, ModelInspection, Spread, Tensor
from app.contract.samples import SampleKind
from app.contract.states import JobState, StopReason
from app.db.session import Database
from app.inspections import service as inspections
from app.jobs import leases
from app.main import create_app
from app.queue import Bell
from app.settings import Settings
from app.store import Store
from tests.servers import wait_until

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For tests of what does not reach the database, or is the same on all."""
TEACHER = {"kind": "mlp", "inputs": 4, "hidden": [8], "classes": 3}
STUDENT = {"architecture": {"kind": "mlp", "inputs": 4, "hidden": [2], "classes": 3}}


_IN_THE_APP = {"max_body_bytes", "slowest_bytes_per_second", "body_patience_seconds", "cors_origins"}
"""Settings that an app is made with; it reads the others when a server starts."""
_AUTHORITIES = ssl.create_default_context()
"""Read once: each client would, though none meets TLS."""
_idle: dict[str, list[FastAPI]] = defaultdict(list)


@contextmanager
def _app(settings: Settings) -> Iterator[FastAPI]:
    """An app that serves nobody else: making one takes as long as a whole test, and leaves nothing of its servers."""
    alike = _idle[settings.model_dump_json(include=_IN_THE_APP)]
    app = alike.pop() if alike else create_app(settings)
    app.state.settings = settings
    app.state.requests._seconds.clear()
    yield app
    alike.append(app)


@contextmanager
def running(settings: Settings, **options: Any) -> Iterator[str]:
    """Serve the API on a free port; yield its URL."""
    with _app(settings) as app:
        yield from _serving(app, options)


def _serving(app: FastAPI, options: dict[str, Any]) -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0))
    options = {"http": Deadlines, "log_level": "warning", "timeout_graceful_shutdown": 5, **options}
    config = uvicorn.Config(app, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started, what="the API's start")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


class House:
    """The service as a test sees it: an HTTP client, and a worker's hands."""

    def __init__(self, client: httpx2.Client, settings: Settings) -> None:
        self.client, self.settings = client, settings

    def upload(self, content: bytes = b"bytes", name: str = "file.bin", **form: str) -> httpx2.Response:
        return self.client.post("/v1/files", files={"file": (name, content)}, data=form)

    def register(self, kind: str, **body: Any) -> dict[str, Any]:
        file = self.upload(save({"x": np.zeros(3, dtype=np.float32)})).json()["id"]
        answer = self.client.post(f"/v1/{kind}", json={"file": file, **body})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def ready(self, *, labelled: int = 10, classes: int = 3, width: int = 4) -> dict[str, Any]:
        """Return the least spec on a teacher and a transfer set whose inspections went well."""
        model = self.register("models", architecture=TEACHER)
        self.inspect(ModelInspection(parameters=67))
        dataset = self.register("datasets")
        self.inspect(
            DatasetInspection(
                rows=10,
                inputs=Tensor(name="x", shape=(10, width), dtype="float32"),
                labelled=labelled,
                classes=classes if labelled else None,
                splits={"train": 9, "validation": 1, "test": 0},
                labelled_splits={"train": min(labelled, 9), "validation": 0, "test": 0},
            )
        )
        return {"teacher": model["id"], "student": STUDENT, "transfer_set": dataset["id"]}

    def ready_text(
        self,
        architecture: dict[str, Any],
        preprocessing: dict[str, Any],
        kind: SampleKind = "text",
        *,
        labelled: int = 10,
    ) -> dict[str, Any]:
        """Return teacher and transfer set of a spec on texts or lists of words; the student is still to be named."""
        model = self.register("models", architecture=architecture, preprocessing=preprocessing)
        self.inspect(ModelInspection())
        dataset = self.register("datasets", format={"kind": "text" if kind == "text" else "tagged_words"})
        spread = Spread(least=1, median=9, p95=20, most=30, mean=9.5)
        self.inspect(
            DatasetInspection(
                rows=10,
                inputs=Tensor(name="text", shape=(10,), dtype="string"),
                sample_kind=kind,
                word_splits={"train": 90, "validation": 10, "test": 0} if kind == "words" else {},
                labelled_word_splits={"train": 90, "validation": 10, "test": 0} if kind == "words" else {},
                lengths=Lengths(characters=spread, words=spread),
                labelled=labelled,
                classes=2 if labelled else None,
                splits={"train": 9, "validation": 1, "test": 0},
                labelled_splits={"train": min(labelled, 9), "validation": int(labelled > 9), "test": 0},
            )
        )
        return {"teacher": model["id"], "transfer_set": dataset["id"]}

    def inspect(self, found: ModelInspection | DatasetInspection) -> None:
        async def act(database: Database, _: Store) -> None:
            async with database.transaction() as session:
                claimed = await inspections.claim(session, 30)
                assert claimed
                assert await inspections.finish(session, claimed, found)

        self.work(act)

    def submit(self, **changes: Any) -> dict[str, Any]:
        answer = self.client.post("/v1/jobs", json={**self.ready(), **changes})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def finish(self, files: dict[str, bytes], folder: Path) -> str:
        """Claim the next job and publish these files as its artifacts; return the job's id."""

        async def act(database: Database, store: Store) -> str:
            async with database.transaction() as session:
                lease = await leases.claim(session, "test", 30)
                assert lease
                await leases.advance(session, lease, JobState.RUNNING)
                await leases.advance(session, lease, JobState.FINALIZING)
            rows = []
            for kind, content in files.items():
                (folder / kind).write_bytes(content)
                blob = await store.put_file(folder / kind)
                rows.append(leases.artifact(lease, kind, f"{kind}.bin", blob.size, blob.sha256, "application/x-test"))
            async with database.transaction() as session:
                await leases.finish(session, lease, StopReason.COMPLETED, rows)
            return lease.job_id

        return str(self.work(act))

    def work(self, act: Any) -> Any:
        """Run `act(database, store)` as a process of its own would."""
        return alone(self.settings, act)


def alone(settings: Settings, act: Any) -> Any:
    """Run `act(database, store)` on a service that need not run."""

    async def acting() -> Any:
        database = Database(settings.database, Bell(settings.broker_url))
        try:
            return await act(database, Store(settings))
        finally:
            await database.close()

    return asyncio.run(acting())


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    with running(settings) as url, client_of(url) as client:
        yield House(client, settings)


def client_of(url: str | httpx2.URL, **headers: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, timeout=30, headers=headers, verify=_AUTHORITIES)
