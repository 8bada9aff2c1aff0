"""Waiting for what a worker will do."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


async def eventually(true: Callable[[], Awaitable[bool]], seconds: float = 40.0, what: str = "it") -> None:
    """Look again and again until it holds."""
    deadline = monotonic() + seconds
    while not await true():
        assert monotonic() < deadline, f"{what} did not happen within {seconds} s"
        await asyncio.sleep(0.05)
