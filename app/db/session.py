"""The database connection, and the only commit.

async with database.transaction() as session:   # commits at the end, rolls back on an error, then rings
async with database.reading() as session:       # never commits
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from app.queue import Bell, Doorbell

_SQLITE_BUSY_SECONDS = 20
_IDLE_SECONDS = 30
"""PostgreSQL ends a transaction whose process says nothing for so long: a frozen worker must not hold a job's row."""


def create_engine(url: str) -> AsyncEngine:
    """Return an engine; on SQLite with write-ahead log, foreign keys, and transactions that begin when told to."""
    if url.startswith("sqlite"):
        engine = create_async_engine(url, connect_args={"timeout": _SQLITE_BUSY_SECONDS})
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    engine = create_async_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5})
    event.listen(engine.sync_engine, "connect", _set_up_postgresql)
    return engine


def _set_up_postgresql(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
    cursor.close()
    connection.commit()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: upgrading from a read lock would fail instead of wait.
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))


class Database:
    """Sessions on one database. Doorbells asked for in a transaction ring after its commit."""

    def __init__(self, url: str, bell: Bell) -> None:
        self._engine = create_engine(url)
        self._bell = bell
        self._write = async_sessionmaker(self._engine, expire_on_commit=False)
        self._read = async_sessionmaker(self._engine.execution_options(sqlite_begin="BEGIN"), expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        async with self._write() as session, session.begin():
            yield session
        for doorbell in doorbells(session):
            await self._bell.ring(doorbell)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        async with self._read() as session:
            yield session

    async def revision(self) -> str | None:
        """Return the schema's Alembic revision, or None where there is no schema yet."""
        async with self.reading() as session:
            connection = await session.connection()
            if not await connection.run_sync(lambda here: inspect(here).has_table("alembic_version")):
                return None
            return (await session.execute(text("SELECT version_num FROM alembic_version"))).scalar()

    async def close(self) -> None:
        await self._engine.dispose()


def doorbells(session: AsyncSession) -> list[Doorbell]:
    """Return the doorbells to ring once this session has committed; append to ask for one."""
    bells: list[Doorbell] = session.info.setdefault("doorbells", [])
    return bells
