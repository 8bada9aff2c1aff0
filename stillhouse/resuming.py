"""Uploads of large files (tus): what has arrived stays, whoever dies, and the next try goes on from there.

The service finds an interrupted upload by the file's SHA-256, from any folder and any machine; nothing is noted here.
"""

import time
from collections.abc import Sequence
from typing import IO, cast

from app.contract.resources import File, Page, Upload
from stillhouse import calls
from stillhouse.errors import (
    BadRequest,
    Conflict,
    DigestMismatch,
    Gone,
    Locked,
    ServiceUnavailable,
    StillhouseError,
    Unreachable,
)
from stillhouse.gauges import Gauge, gauge
from stillhouse.packing import Piece, length
from stillhouse.retry import RetryRules
from stillhouse.sending import Outgoing
from stillhouse.transport import Transport

WORTHWHILE = 16 * 2**20
"""Bytes from which on a file is sent so; smaller ones are sent again as a whole."""
_PATIENCE = RetryRules(retries=8)
"""Of an upload under way: about a minute, in which a service starts again."""
_PASSING = (BadRequest, Conflict, Locked, ServiceUnavailable, Unreachable)
"""What may be otherwise after another look at the offset."""


def send(transport: Transport, title: str, pieces: Sequence[Piece], *, progress: bool) -> File:
    """Send the rest of what the service has not got yet, and return the file. Raises StillhouseError."""
    try:
        upload = _send(transport, title, pieces, progress=progress)
    except (Gone, DigestMismatch):  # what had arrived is lost, or not what is here now: from the beginning, once
        upload = _send(transport, title, pieces, progress=progress)
    return transport.send(calls.get(f"/v1/files/{upload.file}", File))


def _send(transport: Transport, title: str, pieces: Sequence[Piece], *, progress: bool) -> Upload:
    size = sum(map(length, pieces))
    with gauge(f"Reading {title}", size, shown=progress) as done:
        sha256 = _sha256(pieces, done)
    upload = _found(transport, title, size, sha256) or transport.send(calls.begin_upload(title, size, sha256))
    with gauge(f"Uploading {title}", size, shown=progress) as done:
        return _complete(transport, upload, pieces, done)


def _sha256(pieces: Sequence[Piece], done: Gauge) -> str:
    with Outgoing(pieces, done) as content:
        while content.read(2**18):
            pass
        return content.sha256


def _found(transport: Transport, title: str, size: int, sha256: str) -> Upload | None:
    """Return the upload of these bytes that was interrupted."""
    page = transport.send(calls.get("/v1/uploads", Page[Upload], sha256=sha256))
    return next((upload for upload in page.data if (upload.name, upload.size) == (title, size)), None)


def _complete(transport: Transport, upload: Upload, pieces: Sequence[Piece], done: Gauge) -> Upload:
    failures = 0
    while upload.file is None:
        offset, failure = upload.offset, _add(transport, upload, pieces, done)
        if failure:
            time.sleep(_PATIENCE.wait(failures))
        upload = transport.send(calls.get(f"/v1/uploads/{upload.id}", Upload), _PATIENCE)
        failures = 0 if upload.offset > offset else failures + 1
        if failure and failures > _PATIENCE.retries:
            raise failure
    return upload


def _add(transport: Transport, upload: Upload, pieces: Sequence[Piece], done: Gauge) -> StillhouseError | None:
    """Send the rest; return what came in between, if that may pass."""
    with Outgoing(pieces, done, upload.offset) as rest:
        try:
            transport.send(calls.append(upload, cast("IO[bytes]", rest)))
        except _PASSING as failure:
            return failure
    return None
