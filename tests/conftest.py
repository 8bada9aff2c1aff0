"""What all tests share: real databases with migrated schemas, a real broker, a real S3 server.

Asynchronous tests carry `pytestmark = pytest.mark.anyio` and run on asyncio, by anyio's plugin.
"""

import asyncio
import gc
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from app.db.session import Database
from app.queue import Bell
from app.settings import Settings
from app.store import Store
from migrations import config
from tests.servers import Valkey, postgresql, seaweed
from worker.child import fork_server


def pytest_collection_finish() -> None:
    """Leave what is imported by now, torch and all, out of the garbage collector's later rounds: half of them last
    longer than a test."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _no_fork_server_outlives_the_tests() -> Iterator[None]:
    yield
    fork_server.close()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")).running() as server:
        yield server


@pytest.fixture
def broker_url(valkey: Valkey) -> str:
    """A broker with empty queues."""
    valkey.wipe()
    return valkey.url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    command.upgrade(config(f"sqlite+aiosqlite:///{path}"), "head")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A fresh SQLite database, its schema made by the migrations."""
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    return f"sqlite+aiosqlite:///{tmp_path}/test.db"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A PostgreSQL with the database `migrated`; the URL is that of `postgres`."""
    # Not in pytest's folder: another run's start closes that to PostgreSQL's own user.
    with (
        tempfile.TemporaryDirectory(prefix="stillhouse-postgresql-") as folder,
        postgresql(Path(folder) / "data") as url,
    ):
        _administer(url, "CREATE DATABASE migrated")
        command.upgrade(config(_named(url, "migrated")), "head")
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A fresh PostgreSQL database, its schema made by the migrations."""
    name = f"test_{uuid.uuid4().hex}"
    _administer(postgresql_server, f"CREATE DATABASE {name} TEMPLATE migrated")
    yield _named(postgresql_server, name)
    _administer(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with a migrated schema, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def s3_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Settings of a store on a real S3 API. Takes half a minute: only in tests of `pytest.mark.xdist_group("s3")`."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as environment:
        yield environment


@pytest.fixture
def settings(tmp_path: Path, database_url: str, broker_url: str) -> Settings:
    """A service of this test's own, with everything quick."""
    return Settings(
        data=tmp_path / "data",
        database_url=database_url,
        broker_url=broker_url,
        threads=1,
        free_space_floor_bytes=0,
        lease_seconds=3,
        heartbeat_seconds=0.3,
        relay_seconds=0.1,
        stop_grace_seconds=20,
        sweep_seconds=0.5,
        ring_again_seconds=1,
    )


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store(settings)


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    bell = Bell(settings.broker_url)
    opened = Database(settings.database, bell)
    yield opened
    await opened.close()
    await bell.close()


def _administer(url: str, statement: str) -> None:
    async def execute() -> None:
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(execute())


def _named(url: str, database: str) -> str:
    """Return the URL of another database on the same server."""
    server, query = url.rsplit("/postgres?", 1)
    return f"{server}/{database}?{query}"
