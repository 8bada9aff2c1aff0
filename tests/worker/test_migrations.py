"""Upgrades keep what is there: each earlier schema, filled, is brought to the newest."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import create_engine
from migrations import config

_WHEN = "2026-01-02 03:04:05+00:00"
_FIRST = {
    "files": {"id": "file_1", "name": "f", "size": 3, "sha256": "a" * 64},
    "models": {"id": "mdl_1", "name": "m", "file_id": "file_1", "state": "ready", "architecture": "{}", "version": 1,
               "attempt": 1},
    "datasets": {"id": "ds_1", "name": "d", "file_id": "file_1", "state": "ready", "format": "{}", "splits": "{}",
                 "version": 1, "attempt": 1},
    "jobs": {"id": "job_1", "spec": "{}", "spec_hash": "b" * 64, "teacher_id": "mdl_1", "dataset_id": "ds_1",
             "labels": "{}", "priority": 0, "max_attempts": 3, "state": "succeeded", "version": 4, "last_seq": 1,
             "attempt": 1, "losses": 0, "progress": 1.0, "queued_at": _WHEN},
    "artifacts": {"id": "art_1", "job_id": "job_1", "kind": "student", "name": "s", "size": 1, "sha256": "c" * 64,
                  "media_type": "x"},
}  # fmt: skip


async def fill(connection: AsyncConnection) -> None:
    for table, values in _FIRST.items():
        row = {**values, "tenant_id": "default", "created_at": _WHEN}
        columns = ", ".join(row)
        literals = ", ".join(str(value) if isinstance(value, int | float) else f"'{value}'" for value in row.values())
        await connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({literals})"))
    event = {"job_id": "job_1", "seq": 1, "tenant_id": "default", "attempt": 0, "type": "job.queued", "time": _WHEN}
    names, values = ", ".join(event), ", ".join(repr(value) for value in event.values())
    await connection.execute(text(f"INSERT INTO job_events ({names}, data) VALUES ({values}, '{json.dumps({})}')"))


def run(url: str, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    async def execute() -> None:
        engine = create_engine(url)
        async with engine.connect() as connection:
            await work(connection)
            await connection.commit()
        await engine.dispose()

    asyncio.run(execute())


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a schema."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/old.db"
    url: str = request.getfixturevalue("postgresql_url")

    async def empty(connection: AsyncConnection) -> None:
        await connection.execute(text("DROP SCHEMA public CASCADE"))
        await connection.execute(text("CREATE SCHEMA public"))

    run(url, empty)
    return url


def test_rows_of_the_first_schema_survive(empty_url: str) -> None:
    command.upgrade(config(empty_url), "0001")
    run(empty_url, fill)
    command.upgrade(config(empty_url), "head")

    async def look(connection: AsyncConnection) -> None:
        for table in (*_FIRST, "job_events"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar() == 1, table
        link = (await connection.execute(text("SELECT job_id, model_id, part FROM job_models"))).one()
        assert tuple(link) == ("job_1", "mdl_1", "teacher")
        assert (await connection.execute(text("SELECT coalesce(cloned_from, retry_of) FROM jobs"))).scalar() is None

    run(empty_url, look)
