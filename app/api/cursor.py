"""Opaque cursors: the last id of a page. Ids sort by time, so a list is stable while rows are added."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Protocol

from app.contract.errors import BadRequest

_ID = re.compile(r"\w{1,64}", re.ASCII)


class _Identified(Protocol):
    id: str


def encode(last_id: str) -> str:
    return base64.urlsafe_b64encode(last_id.encode()).decode().rstrip("=")


def decode(cursor: str) -> str:
    """Return the id inside. Raises BadRequest."""
    try:
        found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        found = ""
    if not _ID.fullmatch(found):
        raise BadRequest("this cursor was not given by this service")
    return found


def next_cursor(rows: Sequence[_Identified], limit: int) -> tuple[bool, str | None]:
    """Return (has_more, next_cursor) for `limit` + 1 rows that were asked for."""
    more = len(rows) > limit
    return more, encode(rows[limit - 1].id) if more else None
