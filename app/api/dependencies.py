"""What every endpoint may ask for."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.cursor import decode
from app.contract.errors import BadRequest
from app.db.base import DEFAULT_TENANT
from app.db.session import Database
from app.settings import Settings
from app.store import Store


def _database(request: Request) -> Database:
    return cast("Database", request.app.state.database)


def _store(request: Request) -> Store:
    return cast("Store", request.app.state.store)


def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def _tenant() -> str:
    return DEFAULT_TENANT


DatabaseDep = Annotated[Database, Depends(_database)]
StoreDep = Annotated[Store, Depends(_store)]
SettingsDep = Annotated[Settings, Depends(_settings)]
Tenant = Annotated[str, Depends(_tenant)]


async def _writing(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    async with database.transaction() as session:
        yield session


async def _reading(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    async with database.reading() as session:
        yield session


# scope="function": committed, and the connection given back, before the answer goes out.
Writing = Annotated[AsyncSession, Depends(_writing, scope="function")]
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]


def _expected_version(
    if_match: Annotated[
        str | None, Header(alias="If-Match", description="Change only this version: the ETag that GET gave.")
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    match = re.fullmatch(r'"(\d{1,9})"', if_match.strip())
    if not match:
        raise BadRequest('If-Match takes the ETag that GET gave, such as "3"')
    return int(match.group(1))


def _after(
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before", max_length=200)] = None,
) -> str | None:
    return decode(cursor) if cursor else None


ExpectedVersion = Annotated[int | None, Depends(_expected_version)]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries of one page")]
Cursor = Annotated[str | None, Depends(_after)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="Send the same key again to be sure that it happens once.",
    ),
]
