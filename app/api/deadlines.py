"""What uvicorn lacks: a deadline for the head of a request. `uvicorn --http app.api.deadlines:Deadlines`.

Without it, half-open connections stay for ever, and enough of them lock everybody out.
"""

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.api.problems import MEDIA_TYPE, problem
from app.contract.errors import RequestTimeout
from app.db.base import new_id


class Deadlines(H11Protocol):
    """HTTP/1.1 where a request's line and headers have to come within `HEAD_SECONDS`, from the connection on."""

    HEAD_SECONDS: ClassVar[float] = 10
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._expect_a_head()  # the beginning of one has come
        else:
            self._expect_nothing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_a_head(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(self.HEAD_SECONDS, self._give_up)

    def _expect_nothing(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(_too_late(f"the head of the request did not come within {self.HEAD_SECONDS:g} s"))
            self.transport.close()


def _too_late(detail: str) -> bytes:
    """Return a whole answer: there is no request that the application could answer."""
    request_id = new_id("req")
    body = bytes(problem({"request_id": request_id}, RequestTimeout(detail)).body)
    head = [
        f"HTTP/1.1 {RequestTimeout.status} Request Timeout",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        f"X-Request-ID: {request_id}",
        "Connection: close",
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
