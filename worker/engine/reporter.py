"""Events for the parent (a line of JSON each, flushed), and the same in words for the log."""

import logging
import os
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from app.contract.events import EngineEvent, Failed

log = logging.getLogger("stillhouse.engine")


class Reporter:
    """Appends to events.jsonl."""

    def __init__(self, path: Path) -> None:
        _drop_half_line(path)
        self._file = path.open("a", encoding="utf-8")

    def report(self, event: EngineEvent) -> None:
        """Append one event."""
        self._file.write(event.model_dump_json() + "\n")
        self._file.flush()
        log.info("%s", _words(event))

    def close(self) -> None:
        with suppress(OSError):  # what is left is what a full disk did not take before, and that was told
            self._file.close()


class Aside(Reporter):
    """Of a process that does not lead its job: it keeps to itself all but its failure, which the leader tells."""

    def __init__(self, path: Path) -> None:
        """`path`: where a failure is left."""
        self._path = path
        path.unlink(missing_ok=True)

    def report(self, event: EngineEvent) -> None:
        if isinstance(event, Failed):
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(event.model_dump_json())

    def close(self) -> None:
        """There is nothing to close."""


def failure_aside(folder: Path) -> Failed | None:
    """Return the first failure that a process has left in a folder."""
    for path in sorted(folder.glob("*.failed")):
        with suppress(OSError, ValidationError):
            return Failed.model_validate_json(path.read_bytes())
    return None


def _drop_half_line(path: Path) -> None:
    # Whoever was killed while writing left no newline; a reader has not taken that line yet.
    if path.exists():
        content = path.read_bytes()
        os.truncate(path, content.rfind(b"\n") + 1)


def _words(event: EngineEvent) -> str:
    fields = event.model_dump(mode="json", exclude={"time", "type", "metrics"}, exclude_none=True)
    fields |= {name: f"{value:.5g}" for name, value in getattr(event, "metrics", {}).items()}
    return " ".join([event.type, *(f"{name}={value}" for name, value in fields.items())])
