"""Carries what a child reports, and what it prints, from its files into the database.

The place reached is kept in the job's directory, so that the next attempt on this host goes on behind it. A crash
between the commit and that note repeats one batch; a worker that lost the job writes nothing, by the fence.

`failed` and `finished` are not stored: the job's last event, its change of state, says the same and more.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from app.contract.events import EngineEvent, Failed, Finished
from app.jobs import leases
from worker.child import LOG
from worker.lease import OUTAGES, HeldLease
from worker.tail import parse, read_from, whole_lines, write_whole
from worker.waiting import happens

EVENTS = "events.jsonl"
_PLACE = "relayed.json"
_LOG_BYTES = 2**20
"""What an attempt may print into the database; the whole log is published with the student."""
_CUT = "\n[the log of this attempt goes on, but is not shown]\n"

log = logging.getLogger(__name__)


class _Place(BaseModel):
    """Offsets in the two files up to which everything is in the database."""

    events: int = 0
    log: int = 0


class Relay:
    """Tails one job's `events.jsonl` and `log.txt` during one attempt."""

    def __init__(self, folder: Path, held: HeldLease, see: Callable[[EngineEvent], None]) -> None:
        """`see` is told of every event, also of those that are not stored."""
        self._folder, self._see = folder, see
        self._held = held
        self._place = _read_place(folder)
        self._log_ends = self._place.log + _LOG_BYTES
        self.failed: Failed | None = None
        """The failure that this attempt's child reported."""

    async def follow(self, seconds: float, over: asyncio.Event) -> None:
        """Carry a batch every `seconds` until `over`. Raises LeaseLost; a database that is away only delays."""
        while not await happens(over, seconds):
            try:
                await self.carry()
            except OUTAGES as error:
                log.warning("events wait for the database: %s", type(error).__name__)

    async def carry(self, *, patiently: bool = False) -> bool:
        """Carry one batch; return whether there was one. `patiently` outlasts a database that is away."""
        lines = whole_lines(self._folder / EVENTS, self._place.events)
        printed = read_from(self._folder / LOG, self._place.log)
        if not lines and not printed:
            return False
        events = self._noted(parse(lines))
        text = self._shown(printed)
        if events or text:
            write = self._held.write if patiently else self._held.attempt
            await write(lambda session: leases.record(session, self._held.lease, events, text))
        self._advance(len(lines), len(printed))
        return True

    async def drain(self) -> None:
        """Carry what is left, once the child has ended."""
        while await self.carry(patiently=True):
            pass

    def _noted(self, events: Sequence[EngineEvent]) -> list[EngineEvent]:
        for event in events:
            self._see(event)
        self.failed = next((event for event in reversed(events) if isinstance(event, Failed)), self.failed)
        return [event for event in events if not isinstance(event, Failed | Finished)]

    def _shown(self, printed: bytes) -> str:
        left = self._log_ends - self._place.log
        text = printed[: max(0, left)].decode(errors="replace").replace("\0", "�")
        return text + _CUT if 0 <= left < len(printed) else text

    def _advance(self, events: int, printed: int) -> None:
        self._place = _Place(events=self._place.events + events, log=self._place.log + printed)
        try:
            write_whole(self._folder / _PLACE, self._place.model_dump_json())
        except OSError as error:  # a full disk must not end the training; this attempt goes by its memory
            log.warning("the relay's place was not kept: %s", error)


def _read_place(folder: Path) -> _Place:
    try:
        return _Place.model_validate_json((folder / _PLACE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return _Place()
