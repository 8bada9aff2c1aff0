"""A floor under the speed of a body: one that trickles in holds a connection, and an upload its lock, for ever."""

import asyncio
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.contract.errors import RequestTimeout


class Pace:
    """Ends with 408 a body for which the service has waited longer than `patience` seconds and its bytes / `floor`."""

    def __init__(self, app: ASGIApp, floor: int, patience: float) -> None:
        self.app, self.floor, self.patience = app, floor, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        waited, received, whole = 0.0, 0, False

        async def paced() -> Message:
            nonlocal waited, received, whole
            if whole:  # what is waited for now is the client's end, for as long as an answer takes
                return await receive()
            begun = monotonic()
            try:
                async with asyncio.timeout(self.patience + received / self.floor - waited):
                    message = await receive()
            except TimeoutError as error:
                detail = f"the body came in slower than {self.floor} bytes a second"
                raise HTTPException(RequestTimeout.status, detail, {"Connection": "close"}) from error
            waited += monotonic() - begun
            received += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            return message

        await self.app(scope, paced, send)
