"""Waiting for an event, but not for ever; and for work, but not past an event."""

import asyncio
from collections.abc import Awaitable


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, at most `seconds`; return whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


async def done_unless(event: asyncio.Event, work: Awaitable[None]) -> bool:
    """Do the work, or break it off when the event is set; return whether it was done. Raises what the work raises."""
    task, wait = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, wait}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return task.done()
    finally:
        for left in (task, wait):
            left.cancel()
        await asyncio.gather(task, wait, return_exceptions=True)
