"""Sends what is due to webhooks, many at once, until nothing is.

One postman a host at a time: however often the bell rings, receivers that hang keep one slot of the housekeeping worker
busy, never those that inspect and sweep up.
"""

import asyncio
import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.db.session import Database
from app.settings import Settings
from app.webhooks import deliveries
from app.webhooks.deliveries import Taken
from app.webhooks.repository import DeliveryRepository
from app.webhooks.sending import Sender
from worker.lease import OUTAGES

_AT_ONCE = 32
_LOOK_AGAIN_SECONDS = 1.0

log = logging.getLogger(__name__)


async def deliver(database: Database, settings: Settings, stop: asyncio.Event) -> int:
    """Send what is due until nothing is, or until `stop`; return how many tries were made."""
    tries = 0
    while not stop.is_set():
        with _alone(settings.data / "postman.lock") as alone:
            if not alone:
                return tries
            tries += await Postman(database, settings).deliver(stop)
        if not await _any_due(database):  # a ring in the last moment found the lock taken: look once more
            return tries
    return tries


async def _any_due(database: Database) -> bool:
    try:
        async with database.reading() as session:
            return await DeliveryRepository(session).any_due() is not None
    except OUTAGES:
        return False  # the janitor will ring


class Postman:
    """Holds what is being sent."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._at_hand: dict[asyncio.Task[None], Taken] = {}

    async def deliver(self, stop: asyncio.Event) -> int:
        sender, tries = Sender(self._settings), 0
        try:
            while True:
                taken = [] if stop.is_set() else await self._take()
                tries += len(taken)
                for one in taken:
                    self._at_hand[asyncio.create_task(self._try(sender, one))] = one
                if not self._at_hand:
                    return tries
                await self._wait()
        finally:
            sender.close()

    async def _take(self) -> list[Taken]:
        room = _AT_ONCE - len(self._at_hand)
        if room == 0:
            return []
        # Beyond the try itself a lease's time to write down what came of it: then others take the sender for lost.
        lasting = self._settings.webhook_seconds + self._settings.lease_seconds
        try:
            async with self._database.transaction() as session:
                return await deliveries.take(session, room, list(self._at_hand.values()), lasting)
        except OUTAGES as error:
            log.warning("nothing new is sent to webhooks, the database is away: %s", str(error).split("\n", 1)[0])
            return []

    async def _wait(self) -> None:
        done, _ = await asyncio.wait(
            self._at_hand, timeout=_LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )  # fmt: skip
        for task in done:
            one = self._at_hand.pop(task)
            if error := task.exception():  # a mistake of ours, which others shall not wait for
                log.error("delivery %s is left until its time is up", one.id, exc_info=error)

    async def _try(self, sender: Sender, taken: Taken) -> None:
        tried = await sender.send(taken.letter)
        what = tried.attempt.error or tried.attempt.status
        try:
            async with self._database.transaction() as session:
                state = await deliveries.conclude(session, taken, tried, self._settings)
        except OUTAGES as error:
            log.warning("delivery %s: %s, not noted, the database is away: %s", taken.id, what, error)
            return
        log.info(
            "delivery %s of %s to webhook %s: %s, try %d, %.3f s, now %s",
            taken.id, taken.letter.event, taken.webhook, what, taken.attempt, tried.attempt.seconds,
            state or "with another sender",
        )  # fmt: skip


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold a lock of this host, and tell whether it could be had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
