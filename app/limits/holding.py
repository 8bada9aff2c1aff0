"""Room for a file that comes in within one request: held while it streams, given back when it does not arrive.

What is announced is held before the first byte is taken, what was not announced piece by piece. The last word is
`settle`, in the transaction that makes the file: it counts what really came.
"""

import logging
from collections.abc import AsyncIterator
from time import monotonic
from typing import Self

import anyio
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import QuotaExceeded
from app.contract.limits import Limits
from app.db.base import new_id
from app.db.session import Database
from app.limits import service
from app.limits.repository import UsageRepository
from app.store import Blob

_STEP = 64 * 2**20
_SECONDS, _AGAIN = 120.0, 30.0
"""A reservation is good for so long, and renewed so often while bytes come."""

log = logging.getLogger(__name__)


class Holding:
    """Of one file; `async with` gives it back. Does nothing where the account has no limit on what it stores."""

    def __init__(self, database: Database, tenant: str, least: int, most: int, limits: Limits) -> None:
        """`least`, `most`: the bytes that the request announced are so many; both 0 where it did not say."""
        self._database, self._tenant, self._limits = database, tenant, limits
        self._id = new_id("res")
        self._least, self._most = least, most
        self._held, self._renewed = 0, 0.0

    async def __aenter__(self) -> Self:
        await self._hold(self._least, self._most)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._limits.stored_bytes:
            return
        with anyio.CancelScope(shield=True):
            try:
                async with self._database.transaction() as session:
                    await UsageRepository(session, self._tenant).release(self._id)
            except (SQLAlchemyError, OSError) as error:
                log.warning("%d bytes are given back only in %.0f s: %s", self._held, _SECONDS, error)

    async def counted(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass bytes on as long as there is room for them. Raises QuotaExceeded."""
        received = 0
        async for chunk in chunks:
            received += len(chunk)
            if received > self._held or monotonic() - self._renewed > _AGAIN:
                least = max(received, self._held)
                await self._hold(least, max(least, self._most or received + min(received, _STEP)))
            yield chunk

    async def settle(self, session: AsyncSession, blob: Blob) -> None:
        """Give the room to what has come. Raises QuotaExceeded."""
        if self._limits.stored_bytes:
            await UsageRepository(session, self._tenant).release(self._id)
        await service.admit_file(session, self._tenant, blob, self._limits)

    async def _hold(self, least: int, most: int) -> None:
        """Hold `least` bytes, and up to `most` where there is room."""
        allowed = self._limits.stored_bytes
        if not allowed:
            return
        async with self._database.transaction() as session:
            has = UsageRepository(session, self._tenant)
            await has.release(self._id)  # counted anew
            used = await has.stored_bytes()
            if used + least > allowed:
                raise QuotaExceeded("stored_bytes", used, allowed, least)
            self._held = min(most, allowed - used)
            await has.hold(self._id, self._held, _SECONDS)
        self._renewed = monotonic()
