"""API keys for tests: the first one as an administrator makes it, others through the API."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from app.accounts.__main__ import bootstrap
from app.accounts.pepper import pepper_of
from app.db.session import Database
from app.settings import Settings
from app.store import Store
from tests.api.conftest import House, alone, client_of


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a process of this service."""
    given = {name: str(getattr(settings, name)) for name in settings.model_fields_set}
    return {**os.environ, **{f"STILLHOUSE_{name.upper()}": value for name, value in given.items()}}


def accounts(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m app.accounts` on the service's host."""
    line = [sys.executable, "-P", "-m", "app.accounts", *words]
    return subprocess.run(line, env=environment(settings), capture_output=True, text=True, check=False, timeout=60)


def first_key(settings: Settings) -> str:
    async def act(database: Database, _: Store) -> str:
        return await bootstrap(database, pepper_of(settings), "first", force=False)

    return str(alone(settings, act))


@contextmanager
def bearing(house: House, key: str) -> Iterator[House]:
    """The same service, seen with a key."""
    with client_of(house.client.base_url, Authorization=f"Bearer {key}") as client:
        yield House(client, house.settings)


def make_key(admin: House, **wanted: object) -> dict[str, str]:
    answer = admin.client.post("/v1/api_keys", json={"name": "test", **wanted})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def open_account(admin: House, name: str = "other") -> str:
    return str(admin.client.post("/v1/accounts", json={"name": name}).json()["id"])
