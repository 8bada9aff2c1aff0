"""Celery's monitors may look at workers and their tasks, where that is wanted, and never command them."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.queue import create_celery
from app.settings import Settings
from tests.packaging.gateway import free_port
from tests.servers import process, wait_until
from tests.worker.conftest import House
from tests.worker.waiting import eventually
from tests.worker.workers import worker

pytestmark = pytest.mark.anyio


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Monitors know of no database."""
    return sqlite_url


@pytest.fixture
def flower(settings: Settings, tmp_path: Path) -> Iterator[httpx2.Client]:
    port, log = free_port(), tmp_path / "flower.log"
    command = [sys.executable, "-P", "-m", "celery", "flower", "--address=127.0.0.1", f"--port={port}"]
    environment = {**os.environ, "CELERY_BROKER_URL": settings.broker_url, "FLOWER_UNAUTHENTICATED_API": "true"}
    with (
        process(command, log, environment),
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", transport=httpx2.HTTPTransport(retries=8)) as client,
    ):
        wait_until(lambda: log.exists() and "Connected to" in log.read_text(), seconds=90, what="flower's start")
        yield client


def workers(flower: httpx2.Client) -> list[dict[str, Any]]:
    return [dict(one) for one in flower.get("/workers?json=1").json()["data"] if one["status"]]


async def test_flower_shows_workers_and_tasks_and_commands_nobody(house: House, flower: httpx2.Client) -> None:
    with worker(house.settings, "housekeeping", STILLHOUSE_FLOWER="true") as running:
        wait_until(lambda: len(workers(flower)) == 1, seconds=60, what="flower's notice of the worker")
        [seen] = workers(flower)
        name = seen["hostname"]
        assert name.startswith("housekeeping-")
        assert "stillhouse-housekeeping" in flower.get(f"/worker/{name}").text  # asked over remote control
        data = await house.dataset()
        await eventually(lambda: _ready(house, data), what="the inspection")
        wait_until(lambda: ("stillhouse.inspect", "SUCCESS") in tasks(flower), seconds=60, what="the task in flower")
        with create_celery(house.settings.broker_url) as celery:
            for command in (celery.control.shutdown, lambda: celery.control.cancel_consumer("stillhouse-housekeeping")):
                command()
            assert [list(answer) for answer in celery.control.ping(timeout=1)] == [[name]]
            assert celery.control.inspect().active_queues()[name]
        assert running.main.poll() is None


async def _ready(house: House, data: str) -> bool:
    from app.db.tables import Dataset

    return (await house.registered(Dataset, data)).state == "ready"


def tasks(flower: httpx2.Client) -> set[tuple[str, str]]:
    return {(task["name"], task["state"]) for task in flower.get("/api/tasks").json().values()}


async def test_by_default_nobody_is_told_and_nobody_answers(house: House) -> None:
    with worker(house.settings, "housekeeping"), create_celery(house.settings.broker_url) as celery:
        assert celery.control.ping(timeout=1) == []
