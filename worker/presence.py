"""How a worker says that it is there, and hears that it shall take no more jobs, or take them again.

A thread of the main process does it: a slot may be busy, or idle, for hours. Celery forks new slots now and then, and a
fork must copy neither a connection nor a lock that another thread holds. So there is neither between two beats, and no
slot is forked during one.
"""

import asyncio
import logging
import math
import os
import threading
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.devices import CPU
from app.contract.workers import Role
from app.db.base import new_id
from app.db.session import Database
from app.db.tables import Worker
from app.queue import Bell
from app.settings import Settings
from app.workers import service
from worker import gpus
from worker.devices import cuda_devices
from worker.sandbox import walls

_LAST_BEAT_SECONDS = 5
_LOOK_EVERY_SECONDS = 15
"""At the devices: where nobody uses them, the driver takes a second to wake up."""

log = logging.getLogger(__name__)
T = TypeVar("T")


def describe(name: str, role: str, slots: int) -> Worker:
    """Return what there is to say of a worker that starts."""
    devices = ([f"cuda:{device}" for device in cuda_devices()] or [CPU]) if role == Role.DISTILL else []
    return Worker(
        id=new_id("wrk"), name=name, role=role, devices=devices, device_use=[], sandbox=walls.available(), slots=slots
    )


class Presence(threading.Thread):
    """Beats from `start()` to `end()`; `heed` is called with each new wish: finish, checkpoint, or None any more."""

    def __init__(self, settings: Settings, me: Worker, heed: Callable[[str | None], None]) -> None:
        super().__init__(name="presence", daemon=True)
        self._settings, self._me, self._heed = settings, me, heed
        self._wish = ""
        self._looked = -math.inf
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
        self._look_at_devices()
        wish = self._say(self._wished)
        if wish is not None and wish != self._wish:
            log.info("takes no more jobs (%s those that it is at)" if wish else "takes jobs again%s", wish)
            self._wish = wish
            self._heed(wish or None)

    async def _wished(self, session: AsyncSession) -> str:
        return await service.beat(session, self._me) or ""

    def _look_at_devices(self) -> None:
        if self._me.role == Role.DISTILL and monotonic() - self._looked >= _LOOK_EVERY_SECONDS:
            self._looked = monotonic()
            self._me.device_use = [use.model_dump() for use in gpus.in_use(self._me.devices)]

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
