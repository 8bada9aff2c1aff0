"""Upgrades keep what is there, wait for one another, and nothing starts on another schema than its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Connection, MetaData, String, Table, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.db.base import Base
from app.db.session import Database, create_engine
from app.queue import Bell
from migrations import config, head, why_not

REVISIONS = [script.revision for script in ScriptDirectory.from_config(config("")).walk_revisions("base", "heads")][
    ::-1
]
_WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Rows = dict[str, dict[str, Any]]


def run(url: str, work: Callable[[Connection], Any]) -> Any:
    async def execute() -> Any:
        engine = create_engine(url)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(execute())


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without a schema."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/old.db"
    url: str = request.getfixturevalue("postgresql_url")
    run(url, lambda connection: connection.execute(text("DROP SCHEMA public CASCADE")))
    run(url, lambda connection: connection.execute(text("CREATE SCHEMA public")))
    return url


def fill(connection: Connection, revision: str) -> Rows:
    """Put a row into every table that there is, with a value in every column; return them by table."""
    schema = MetaData()
    schema.reflect(connection)
    rows: Rows = {}
    for table in schema.sorted_tables:
        if table.name != "alembic_version":
            rows[table.name] = {column.name: value_of(column, revision) for column in table.columns}
            connection.execute(table.insert(), [rows[table.name]])
    return rows


def value_of(column: Column[Any], revision: str) -> Any:
    """Return a value of the column's kind; what refers to another row refers to that of the same revision."""
    if column.foreign_keys:
        return f"{next(iter(column.foreign_keys)).column.table.name}-{revision}"
    if isinstance(column.type, JSON):
        return {"revision": revision}
    if isinstance(column.type, String):
        name = column.table.name if column.name == "id" else column.name
        return f"{name}-{revision}"[: column.type.length]
    return {int: int(revision), float: 0.5, bool: True, datetime: _WHEN}[column.type.python_type]


def same(found: Any, put_in: Any) -> bool:
    if isinstance(found, datetime):
        return found.replace(tzinfo=UTC) == put_in
    return bool(found == put_in)


def test_rows_of_every_revision_survive(empty_url: str) -> None:
    """One database lives through the whole history, and gets a row in every table at each revision."""
    put_in = {}
    for revision in REVISIONS:
        command.upgrade(config(empty_url), revision)
        put_in[revision] = run(empty_url, lambda connection, now=revision: fill(connection, now))
    run(empty_url, lambda connection: look(connection, put_in))


def look(connection: Connection, put_in: dict[str, Rows]) -> None:
    assert why_not(connection.execute(text("SELECT version_num FROM alembic_version")).scalar()) is None
    schema = MetaData()
    schema.reflect(connection)
    for revision, rows in put_in.items():
        for name, row in rows.items():
            if name in schema.tables:
                assert survives(connection, schema.tables[name], row), f"{name} of revision {revision}"
    if connection.dialect.name == "sqlite":
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
    with Session(connection) as session:
        for mapper in Base.registry.mappers:
            assert session.scalars(select(mapper)).all(), mapper.class_.__name__


def survives(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Return whether the table has this row, as far as its columns are still there."""
    kept = {name: value for name, value in row.items() if name in table.columns}
    rows = connection.execute(select(*(table.columns[name] for name in kept))).mappings()
    return any(all(same(found[name], value) for name, value in kept.items()) for found in rows)


def test_the_teacher_of_a_first_job_is_still_its_teacher(empty_url: str) -> None:
    command.upgrade(config(empty_url), "0001")
    run(empty_url, lambda connection: fill(connection, "0001"))
    command.upgrade(config(empty_url), "head")
    links = run(
        empty_url, lambda connection: connection.execute(text("SELECT job_id, model_id, part FROM job_models")).all()
    )
    assert [tuple(link) for link in links] == [("jobs-0001", "models-0001", "teacher")]


def start(module: str, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **{f"STILLHOUSE_{name.upper()}": value for name, value in settings.items()}}
    command = [sys.executable, "-P", "-m", module, *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_those_that_migrate_at_once_wait_for_one_another(empty_url: str, tmp_path: Path) -> None:
    racers = [start("migrations", data=str(tmp_path), database_url=empty_url) for _ in range(3)]
    said = [racer.communicate(timeout=60)[1] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0, 0], said
    assert revision_of(empty_url) == head()


def test_a_migration_that_waits_too_long_changes_nothing_and_says_so(empty_url: str, tmp_path: Path) -> None:
    def migrate_meanwhile(connection: Connection) -> tuple[int, str]:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({0x57111})"))
        late = start("migrations", data=str(tmp_path), database_url=empty_url, migration_lock_seconds="0.2")
        said = late.communicate(timeout=60)[1]
        return late.returncode, said

    code, said = run(empty_url, migrate_meanwhile)
    assert code == 1
    assert said.startswith("the schema was not changed: ")
    assert "Traceback" not in said
    assert revision_of(empty_url) is None


def test_an_upgrade_that_fails_half_way_changes_nothing(empty_url: str) -> None:
    run(empty_url, lambda connection: connection.execute(text("CREATE TABLE soft_targets (id INTEGER)")))
    with pytest.raises(DBAPIError, match="soft_targets"):
        command.upgrade(config(empty_url), "head")
    assert revision_of(empty_url) is None


def revision_of(url: str) -> str | None:
    async def look() -> str | None:
        database = Database(url, Bell(""))
        try:
            return await database.revision()
        finally:
            await database.close()

    return asyncio.run(look())


def test_a_worker_waits_for_a_database_that_is_away(tmp_path: Path) -> None:
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    waiting = start("worker", "distill", data=str(tmp_path), database_url=nowhere, broker_url="redis+socket:///nowhere")
    try:
        assert waiting.stderr
        assert any("waiting for the database" in line for line in waiting.stderr)
        assert waiting.poll() is None
    finally:
        waiting.kill()
        waiting.communicate()


@pytest.mark.parametrize(("found", "reason"), [("0001", "run `python -m migrations`"), ("9999", "a newer version")])
def test_nothing_starts_on_another_schema(sqlite_url: str, tmp_path: Path, found: str, reason: str) -> None:
    run(sqlite_url, lambda connection: connection.execute(text(f"UPDATE alembic_version SET version_num = '{found}'")))
    settings = {"data": str(tmp_path), "database_url": sqlite_url, "broker_url": "redis+socket:///nowhere"}
    refused = [
        start("worker", "distill", **settings),
        start("uvicorn", "--factory", "app.main:create_app", "--port", "0", **settings),
    ]
    for process in refused:
        said = process.communicate(timeout=60)[1]
        assert process.returncode != 0
        assert f"not started: the database is at revision {found}, this code needs {head()}" in said
        assert reason in said
