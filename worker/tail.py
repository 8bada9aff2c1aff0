"""The files of a job's directory: what a child has appended so far, read in whole lines and never more than a batch."""

import logging
import os
from pathlib import Path

from pydantic import ValidationError

from app.contract.events import ENGINE_EVENT, EngineEvent, Finished

BATCH_BYTES = 2**18
NO_NUL = (b"\\u0000", b"\\ufffd")
"""What replaces what in JSON: PostgreSQL stores no NUL, and a name in an upload may hold one."""

log = logging.getLogger(__name__)


def read_from(path: Path, offset: int, limit: int = BATCH_BYTES) -> bytes:
    """Return up to `limit` bytes from `offset` on; nothing where there is no file yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(limit)
    except FileNotFoundError:
        return b""


def whole_lines(path: Path, offset: int) -> bytes:
    """Return the complete lines from `offset` on; a line that is still being written waits for its end."""
    piece = read_from(path, offset)
    end = piece.rfind(b"\n") + 1
    if end == 0 and len(piece) == BATCH_BYTES:
        return piece  # no event is that long: passed over as one bad line
    return piece[:end]


def parse(lines: bytes) -> list[EngineEvent]:
    """Return the events of complete lines; a line that is none is logged and left out."""
    events: list[EngineEvent] = []
    for line in filter(None, lines.split(b"\n")):
        try:
            events.append(ENGINE_EVENT.validate_json(line.replace(*NO_NUL)))
        except ValidationError as error:
            log.warning("not an event, left out: %r (%s)", line[:200], error.errors(include_url=False)[0]["msg"])
    return events


def finished(path: Path) -> Finished | None:
    """Return the event with which the engine said that everything in `out/` is complete, if it is the last one."""
    if not path.exists():
        return None
    tail = read_from(path, max(0, path.stat().st_size - BATCH_BYTES))
    last = tail.rstrip(b"\n").rsplit(b"\n", 1)[-1]
    events = parse(last) if tail.endswith(b"\n") else []
    return events[0] if events and isinstance(events[0], Finished) else None


def end_last_line(path: Path) -> None:
    """End a line that a killed child left half-written, so that the next child's first line stands alone."""
    if path.exists() and path.stat().st_size and read_from(path, path.stat().st_size - 1) != b"\n":
        with path.open("ab") as file:
            file.write(b"\n")
            os.fsync(file.fileno())


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half-written."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        temporary.write_text(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
