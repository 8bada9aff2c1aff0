"""Stored bytes that nothing refers to: set aside first, removed when they have lain there as long.

Bytes that are uploaded again while they are swept are not lost: whoever refers to bytes that were set aside a moment
before gets them back (`Store.stream`), and so does the next sweep.
"""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from app.contract.retention import Removal
from app.db.session import Database
from app.files.repository import FileRepository
from app.store import Area, Store, Stored

_SHOWN = 10
_REASONS: dict[Area, tuple[str, str]] = {
    Area.ASIDE: ("set_aside", "stored bytes that were set aside {0:.0f} s ago and that nothing has referred to since"),
    Area.BLOBS: ("orphans", "stored bytes of {0:.0f} s ago or more that nothing refers to: they are set aside"),
    Area.INCOMING: ("unfinished", "what came in {0:.0f} s ago or more and was never finished"),
}

log = logging.getLogger(__name__)


async def due(database: Database, store: Store, seconds: float) -> list[Removal]:
    """Return what a sweep would find now."""
    removals = []
    for area, (kind, reason) in _REASONS.items():
        count, size, first = 0, 0, list[str]()
        async for found in _found(database, store, area, seconds):
            count, size = count + 1, size + found.size
            first += [found.name] if count <= _SHOWN else []
        told = f"{reason.format(seconds)} (STILLHOUSE_ORPHAN_SECONDS)"
        removals.append(Removal(kind=kind, reason=told, count=count, bytes=size, first=first))
    return removals


async def sweep(database: Database, store: Store, seconds: float) -> int:
    """Set aside, or remove, what nothing has referred to for `seconds`; return how much."""
    await _restore_needed(database, store)
    swept = 0
    for area in _REASONS:  # what was set aside goes first, so that nothing passes through two in one sweep
        async for found in _found(database, store, area, seconds):
            if area is Area.BLOBS:
                await store.set_aside(found.name)
            else:
                await store.remove(found)
            swept += 1
            log.info("swept the orphan %s/%s", area, found.name)
    await _restore_needed(database, store)
    return swept


async def _found(database: Database, store: Store, area: Area, seconds: float) -> AsyncIterator[Stored]:
    before = datetime.now(UTC) - timedelta(seconds=seconds)
    async for batch in store.listed(area):
        old = [stored for stored in batch if stored.written < before]
        needed = set() if area is Area.INCOMING else await _needed(database, old)
        for stored in old:
            if stored.name not in needed:
                yield stored


async def _restore_needed(database: Database, store: Store) -> None:
    async for batch in store.listed(Area.ASIDE):
        for sha256 in await _needed(database, batch):
            await store.restore(sha256)


async def _needed(database: Database, batch: list[Stored]) -> set[str]:
    async with database.reading() as session:
        return await FileRepository(session).referred([stored.name for stored in batch])
