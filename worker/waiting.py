"""Waiting for an event, but not for ever."""

import asyncio


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, at most `seconds`; return whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
