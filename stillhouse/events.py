"""A job's events as they happen (Server-Sent Events), without a gap when the connection breaks."""

import time
from collections.abc import Iterator

import httpx2

from app.contract.resources import JobEvent
from stillhouse.errors import ServiceError
from stillhouse.retry import BUSY
from stillhouse.transport import Transport

LAST = "job.terminal"
SILENCE = 45.0
"""Seconds without a byte after which the connection counts as dead; the service pings every 15."""
PATIENCE = 120.0
"""Seconds for which a service that went away is looked for."""


def job_events(transport: Transport, job: str, after: int = 0, patience: float = PATIENCE) -> Iterator[JobEvent]:
    """Yield the events after number `after`, up to the job's end; reconnect where the stream breaks.

    Raises Unreachable when the service has been away for `patience` seconds.
    """
    last, tries, heard = after, 0, time.monotonic()
    while True:
        try:
            for event in _stream(transport, job, last):
                last, tries, heard = event.seq, 0, time.monotonic()
                yield event
                if event.type == LAST:
                    return
        except httpx2.TransportError as error:
            if time.monotonic() - heard > patience:
                raise transport.unreachable(error) from error
        except ServiceError as error:
            if error.status not in BUSY or time.monotonic() - heard > patience:
                raise
        time.sleep(min(transport.rules.wait(tries), 5.0))
        tries = min(tries + 1, 10)


def _stream(transport: Transport, job: str, after: int) -> Iterator[JobEvent]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if after:
        headers["Last-Event-ID"] = str(after)
    with transport.stream(f"/v1/jobs/{job}/events", headers, read_timeout=SILENCE) as response:
        for message in httpx2.EventSource(response):
            if message.id and message.data:
                yield JobEvent.model_validate_json(message.data)
