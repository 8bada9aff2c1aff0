"""Each test of this folder injects one of the faults that test_every_fault.py lists, and ends by the oracle."""

from collections.abc import AsyncIterator

import pytest

from app.db.session import Database
from app.settings import Settings
from app.store import Store
from tests.faults import oracle
from tests.faults.house import FaultHouse


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test asks for another by parametrising this."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


@pytest.fixture
async def house(settings: Settings, database: Database, store: Store) -> AsyncIterator[FaultHouse]:
    house = FaultHouse(settings, database, store)
    yield house
    await oracle.check(database, store, house.accepted, settings.data)
