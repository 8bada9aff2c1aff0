"""API keys for tests: the first one as an administrator makes it, others through the API."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from app.settings import Settings
from tests.api.conftest import House


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a process of this service."""
    given = {name: str(getattr(settings, name)) for name in settings.model_fields_set}
    return {**os.environ, **{f"STILLHOUSE_{name.upper()}": value for name, value in given.items()}}


def accounts(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m app.accounts` on the service's host."""
    line = [sys.executable, "-P", "-m", "app.accounts", *words]
    return subprocess.run(line, env=environment(settings), capture_output=True, text=True, check=False, timeout=60)


def first_key(settings: Settings) -> str:
    done = accounts(settings, "bootstrap")
    assert done.returncode == 0, done.stderr
    return done.stdout.removesuffix("\n")


@contextmanager
def bearing(house: House, key: str) -> Iterator[House]:
    """The same service, seen with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=house.client.base_url, timeout=30, headers=headers) as client:
        yield House(client, house.settings)


def make_key(admin: House, **wanted: object) -> dict[str, str]:
    answer = admin.client.post("/v1/api_keys", json={"name": "test", **wanted})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def open_account(admin: House, name: str = "other") -> str:
    return str(admin.client.post("/v1/accounts", json={"name": name}).json()["id"])
