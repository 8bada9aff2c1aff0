"""Work that may be given up: a thread of its own, for which neither the loop's end nor the process's waits.

`asyncio.to_thread` will not do here: the end of a loop waits for its threads, and one that a dead server keeps waiting
would keep a worker from ending.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def detached(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a loop and thread of its own. Where this is cancelled, it is too, and not waited for."""
    here, ended = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()
    there = asyncio.new_event_loop()
    task = there.create_task(work())

    def conclude() -> None:
        if ended.cancelled():
            return
        if task.cancelled():
            ended.cancel()
        elif error := task.exception():
            ended.set_exception(error)
        else:
            ended.set_result(task.result())

    def run() -> None:
        with contextlib.suppress(Exception, asyncio.CancelledError):  # handed on by `conclude`
            there.run_until_complete(task)
        with contextlib.suppress(RuntimeError):  # nobody is there any more
            here.call_soon_threadsafe(conclude)
        there.run_until_complete(there.shutdown_default_executor())
        there.close()

    threading.Thread(target=run, name="detached", daemon=True).start()
    try:
        return await ended  # type: ignore[no-any-return]
    finally:
        with contextlib.suppress(RuntimeError):  # it has ended
            there.call_soon_threadsafe(task.cancel)
