"""Who calls: found by the key of each request, and remembered as its last use."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import tokens
from app.accounts.repository import AccountRepository, ApiKeyRepository
from app.contract.accounts import HOW_TO_BEGIN, Scope
from app.contract.errors import Forbidden, Unauthorized
from app.db.base import DEFAULT_TENANT
from app.db.session import Database

_NOTED_EVERY_SECONDS = 60.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """On whose behalf a request acts, and what it may do."""

    tenant: str
    scopes: frozenset[Scope]
    key: str | None = None
    """Missing for the service's own host."""
    limits: Mapping[str, float] = field(default_factory=dict, hash=False)
    """Those that an administrator gave the account."""

    def require(self, scope: Scope) -> None:
        """Raise Forbidden without this scope; `admin` covers all."""
        if not {scope, Scope.ADMIN} & self.scopes:
            raise Forbidden(scope)


HOST = Caller(DEFAULT_TENANT, frozenset(Scope))
"""Whoever works on the service's own host: its command line, and requests from there before there is a key."""


class Callers:
    """Identifies callers. `pepper`: see `app.accounts.pepper`."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database, self._pepper = database, pepper
        self._keys_exist = False
        self._noted: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def identify(self, token: str | None, *, from_host: bool) -> Caller:
        """Return who calls. `from_host`: whether the request came from this very host.

        Raises Unauthorized. A key that was revoked a moment ago is refused: nothing is cached but that keys exist.
        """
        async with self._database.reading() as session:
            keys = ApiKeyRepository(session)
            self._keys_exist = self._keys_exist or await keys.any()
            if not self._keys_exist:
                return await _host(session, from_host=from_host)
            if token is None:
                raise Unauthorized("this service wants an API key, as `Authorization: Bearer sh_…`")
            key_id = tokens.id_of(token)
            row, account = await keys.valid(key_id) if key_id else (None, None)
        if not tokens.matches(token, self._pepper, row.hash if row else None) or row is None or account is None:
            raise Unauthorized("this is no API key that is good now: it is unknown, damaged, expired or revoked")
        self._note_use(row.id)
        return Caller(account.id, frozenset(map(Scope, row.scopes)), row.id, account.limits)

    def _note_use(self, key_id: str) -> None:
        """Write the time down, beside the request and never in its way, at most once a minute."""
        now = monotonic()
        if now - self._noted.get(key_id, -_NOTED_EVERY_SECONDS) >= _NOTED_EVERY_SECONDS:
            self._noted[key_id] = now
            note = asyncio.create_task(self._write_use(key_id))
            self._notes.add(note)
            note.add_done_callback(self._notes.discard)

    async def _write_use(self, key_id: str) -> None:
        try:
            async with self._database.transaction() as session:
                await ApiKeyRepository(session).note_use(key_id)
        except (SQLAlchemyError, OSError) as error:
            log.warning("the last use of %s was not noted: %s", key_id, error)

    async def close(self) -> None:
        """Wait for what is still to be noted."""
        await asyncio.gather(*self._notes)


async def _host(session: AsyncSession, *, from_host: bool) -> Caller:
    if from_host:
        account = await AccountRepository(session).get(HOST.tenant)
        return replace(HOST, limits=account.limits) if account else HOST
    raise Unauthorized(f"this service has no API key yet and answers only its own host: {HOW_TO_BEGIN}")
