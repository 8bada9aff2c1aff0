"""What every endpoint may ask for."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import Depends, Header, Query, Request, Security
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import audit
from app.accounts.callers import Caller
from app.api.cursor import decode
from app.api.problems import request_id
from app.contract.accounts import Scope
from app.contract.errors import BadRequest
from app.contract.limits import Limits
from app.db.session import Database
from app.limits.service import in_force
from app.settings import Settings
from app.store import Store
from app.webhooks.receivers import Receivers


def _database(request: Request) -> Database:
    return cast("Database", request.app.state.database)


def _store(request: Request) -> Store:
    return cast("Store", request.app.state.store)


def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def _receivers(request: Request) -> Receivers:
    return cast("Receivers", request.app.state.receivers)


SCHEME = "api_key"
_BEARER = HTTPBearer(
    scheme_name=SCHEME,
    description="An API key, `sh_…`. Before there is one, the service's own host needs none.",
    auto_error=False,  # `app.api.identity` looks; this is for the OpenAPI document
)


def caller(request: Request, _shown: Annotated[object, Depends(_BEARER)]) -> Caller:
    """Return who calls, as found around all of /v1; what was not looked at there fails here."""
    return cast("Caller", request.scope["caller"])


CallerDep = Annotated[Caller, Depends(caller)]


def _tenant(caller: CallerDep) -> str:
    return caller.tenant


def _admin(caller: CallerDep) -> None:
    caller.require(Scope.ADMIN)


AdminOnly = Security(_admin, scopes=[Scope.ADMIN.value])
"""For routers and routes that concern the whole installation."""
DatabaseDep = Annotated[Database, Depends(_database)]
StoreDep = Annotated[Store, Depends(_store)]
SettingsDep = Annotated[Settings, Depends(_settings)]
ReceiversDep = Annotated[Receivers, Depends(_receivers)]
Tenant = Annotated[str, Depends(_tenant)]


def _limits(caller: CallerDep, settings: SettingsDep) -> Limits:
    return in_force(settings, caller.limits)


LimitsDep = Annotated[Limits, Depends(_limits)]
"""The limits of the caller's account."""


def _changes(request: Request, database: DatabaseDep, caller: CallerDep) -> audit.Changes:
    named = tuple(map(str, request.path_params.values()))
    asked = audit.Request(caller, request.scope["route"].name, named, request_id(request.scope))
    return audit.Changes(database, asked)


ChangesDep = Annotated[audit.Changes, Depends(_changes)]


async def _writing(changes: ChangesDep) -> AsyncIterator[AsyncSession]:
    async with changes.transaction() as session:
        yield session


async def _reading(database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    async with database.reading() as session:
        yield session


# scope="function": committed, and the connection given back, before the answer goes out.
Writing = Annotated[AsyncSession, Depends(_writing, scope="function")]
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]


def _expected_version(
    if_match: Annotated[
        str | None,
        Header(
            alias="If-Match",
            description="Change only this version: the ETag that GET gave.",
            json_schema_extra={"pattern": r'^(\*|"[0-9]{1,9}")$'},
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    match = re.fullmatch(r'"([0-9]{1,9})"', if_match.strip())
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
