"""Around every request: an id, HEAD wherever GET works, and a bound on JSON bodies. Plain ASGI, nothing is buffered."""

import re
from collections.abc import Sequence

from opentelemetry import trace
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import logs, tracing
from app.api.problems import problem
from app.contract.errors import PayloadTooLarge
from app.db.base import new_id

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_ID_HEADER = "X-Request-ID"


class RequestId:
    """Gives each request an id (the caller's, where it sent a sane one): in log lines, span and X-Request-ID."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_ID_HEADER, "")
        scope["request_id"] = given if _SANE_ID.fullmatch(given) else new_id("req")
        self._tell(scope["request_id"])

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[_ID_HEADER] = scope["request_id"]
            await send(message)

        await self.app(scope, receive, send_with_id)

    @staticmethod
    def _tell(request_id: str) -> None:
        span = trace.get_current_span()
        span.set_attribute("stillhouse.request_id", request_id)
        found = tracing.trace_id(span)
        logs.bind(request_id=request_id, **({"trace_id": found} if found else {}))


class HeadAsGet:
    """Answers HEAD like GET without the body. Endpoints that stream ask `wants_no_body` and send none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_headers(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET", "no_body": True}, receive, send_headers)


def wants_no_body(request: Request) -> bool:
    return bool(request.scope.get("no_body"))


class BodyLimit:
    """Refuses larger bodies with 413, by Content-Length or while they come in; uploads have limits of their own.

    `except_paths`: paths, and beginnings of paths where they end with a slash.
    """

    def __init__(self, app: ASGIApp, limit: int, except_paths: Sequence[str]) -> None:
        self.app, self.limit, self.except_paths = app, limit, except_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_upload(scope["path"]):
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > self.limit:
            await self._refuse(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise HTTPException(413, self._detail())
            return message

        await self.app(scope, counted, send)

    def _is_upload(self, path: str) -> bool:
        return any(path == known or (known.endswith("/") and path.startswith(known)) for known in self.except_paths)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = problem(scope, PayloadTooLarge(self._detail()))
        await answer(scope, receive, send)

    def _detail(self) -> str:
        return f"the body is larger than the {self.limit} bytes allowed here; files go to POST /v1/files or /v1/uploads"
