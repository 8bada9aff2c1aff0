"""Logging of every process of the service: one configuration, and what the lines of a request or a job carry.

A line that is written about a request or a job says which: `bind(request_id=…)`, `bind(job_id=…, attempt=…)`.
"""

import json
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

Format = Literal["", "text", "json"]
Level = Literal["debug", "info", "warning", "error"]
Fact = str | int

_FACTS: ContextVar[Mapping[str, Fact]] = ContextVar("facts")
_TELLS_URLS = "httpx2"
"""It logs each request with its URL: a webhook's may hold a secret of its receiver."""
_UVICORNS = ("uvicorn", "uvicorn.error", "uvicorn.access")
"""Loggers that bring handlers and levels of their own, before ours are there."""


def bind(**facts: Fact) -> None:
    """Have every line carry these from here on, in this asyncio task and those that it starts.

    There is no way back, and none is needed: a request and a job have a task of their own. So also what is said
    about the failure of a request, outside of everything that handles it, carries its id.
    """
    _FACTS.set({**_FACTS.get({}), **facts})


def set_up(form: Format, level: Level = "info") -> None:
    """Log to stderr, from a level on; "" is text on a terminal and JSON elsewhere. Later calls do nothing."""
    as_text = form == "text" or (not form and sys.stderr.isatty())
    handler = logging.StreamHandler()
    handler.setFormatter(TextLines() if as_text else JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.captureWarnings(capture=True)
    if level != "debug":
        logging.getLogger(_TELLS_URLS).setLevel(logging.WARNING)
    for name in _UVICORNS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


class TextLines(logging.Formatter):
    """`2026-01-02 03:04:05,678 INFO    worker.lease: the message [job_id=job_… attempt=1]`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        facts = " ".join(f"{name}={value}" for name, value in _FACTS.get({}).items())
        return super().formatMessage(record) + (f" [{facts}]" if facts else "")


class JsonLines(logging.Formatter):
    """One object a line: `time` (RFC 3339, UTC), `level`, `logger`, `message`, what was bound, `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Fact] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_FACTS.get({}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
