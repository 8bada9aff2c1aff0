"""How a worker says that it is there, and hears that it shall take no more jobs.

A thread of the main process does it: a slot may be busy, or idle, for hours. Celery forks new slots now and then, and a
fork must copy neither a connection nor a lock that another thread holds. So there is neither between two beats, and no
slot is forked during one.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.base import new_id
from app.db.session import Database
from app.db.tables import Worker
from app.queue import Bell
from app.settings import Settings
from app.workers import service
from worker.devices import cuda_devices, slot_count

_LAST_BEAT_SECONDS = 5

log = logging.getLogger(__name__)
T = TypeVar("T")


class Presence(threading.Thread):
    """Beats from `start()` to `end()`; `drain` is called with each new wish: finish or checkpoint."""

    def __init__(self, settings: Settings, name: str, drain: Callable[[str], None]) -> None:
        super().__init__(name="presence", daemon=True)
        devices = [f"cuda:{device}" for device in cuda_devices()] or ["cpu"]
        self._me = Worker(id=new_id("wrk"), name=name, devices=devices, slots=slot_count(settings))
        self._settings, self._drain = settings, drain
        self._wish: str | None = None
        self._over, self._beating = threading.Event(), threading.Lock()
        release = self._beating.release
        os.register_at_fork(before=self._beating.acquire, after_in_parent=release, after_in_child=release)

    def run(self) -> None:
        # Made here: a Celery application counts as the current one of the thread that made it.
        self._database = Database(self._settings.database, Bell(self._settings.broker_url))
        self._beat()
        while not self._over.wait(self._settings.heartbeat_seconds):
            self._beat()
        self._say(lambda session: service.leave(session, self._me.id))

    def end(self) -> None:
        self._over.set()
        self.join(_LAST_BEAT_SECONDS)

    def _beat(self) -> None:
        wish = self._say(lambda session: service.beat(session, self._me))
        if wish and wish != self._wish:
            log.info("takes no more jobs (%s those that it is at)", wish)
            self._wish = wish
            self._drain(wish)

    def _say(self, operation: Callable[[AsyncSession], Awaitable[T]]) -> T | None:
        with self._beating:
            try:
                return asyncio.run(self._alone(operation))
            except (SQLAlchemyError, OSError) as error:
                log.warning("not heard, the database is away: %s", str(error).split("\n", 1)[0])
                return None

    async def _alone(self, operation: Callable[[AsyncSession], Awaitable[T]]) -> T:
        try:
            async with self._database.transaction() as session:
                return await operation(session)
        finally:
            await self._database.close()
