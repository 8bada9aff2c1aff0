"""Alembic's environment: the tables of `app.db.tables`, on the URL that `migrations.config` was given."""

import asyncio
from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import JSON, Connection, event, text

from app.db import tables  # noqa: F401 - fills the metadata
from app.db.base import Base, UtcDateTime
from app.db.session import create_engine

_MIGRATION_LOCK = 0x57111
_TABLE_MILLISECONDS = 10_000
_LOCK_SECONDS: float = context.config.attributes["lock_seconds"]


def _render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our own types in plain SQLAlchemy: a migration must not change when the code does."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from sqlalchemy.dialects.postgresql import JSONB")
        return 'sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")'
    return False


def _run(connection: Connection) -> None:
    """Upgrade within one transaction, ours: whoever comes second reads the revision after the first has committed."""
    if connection.dialect.name == "postgresql":
        _lock_postgresql(connection)
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        render_item=_render,
        compare_type=True,
    )
    context.run_migrations()


def _lock_postgresql(connection: Connection) -> None:
    milliseconds = int(_LOCK_SECONDS * 1000)
    connection.execute(text(f"SET LOCAL lock_timeout = {milliseconds}"))
    connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
    # A change that waits for a table makes everybody else wait behind it: not for long.
    connection.execute(text(f"SET LOCAL lock_timeout = {min(milliseconds, _TABLE_MILLISECONDS)}"))


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """Wait for the database's one lock, which BEGIN IMMEDIATE takes, and let go of foreign keys.

    Changing a column makes SQLite copy its table: dropping the old one must not take along what refers to it.
    """
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(_LOCK_SECONDS * 1000)}")
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()


async def _migrate(url: str) -> None:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_run)
    finally:
        await engine.dispose()


asyncio.run(_migrate(context.config.attributes["database_url"]))
