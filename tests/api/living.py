"""The API as a process of its own, to be killed and started again, and a line to it that can be cut."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

from app.settings import Settings
from tests.servers import process, wait_until


class LivingApi:
    """Starts on the same port again and again."""

    def __init__(self, settings: Settings, port: int, log: Path, inside: Sequence[str] = ()) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.settings, self.port, self._log, self._inside = settings, port, log, inside
        self._running = ExitStack()
        self.pid = 0

    def start(self) -> None:
        command = [*self._inside, sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app"]
        command += ["--http", "app.api.deadlines:Deadlines", "--port", str(self.port)]
        given = {name: getattr(self.settings, name) for name in self.settings.model_fields_set}
        environment = {**os.environ, **{f"STILLHOUSE_{name.upper()}": str(value) for name, value in given.items()}}
        self.pid = self._running.enter_context(process(command, self._log, environment)).pid
        wait_until(self._answers, seconds=90, what="the API's first answer")

    def kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self._running.close()

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz").is_success
        except httpx2.TransportError:
            return False


@contextmanager
def living(settings: Settings, port: int, log: Path, inside: Sequence[str] = ()) -> Iterator[LivingApi]:
    """`inside`: a command that runs another one, in a place of its own."""
    api = LivingApi(settings, port, log, inside)
    try:
        api.start()
        yield api
    finally:
        api.kill()


class Line:
    """Passes bytes on to a port; after `cut_after` bytes towards it, once, it calls `then` and cuts the connection."""

    def __init__(self, target: int, cut_after: int, then: Callable[[], object]) -> None:
        self._target, self._left, self._then = target, cut_after, then
        self.cuts = 0
        self.url = ""

    async def serve(self, ready: threading.Event, over: asyncio.Event) -> None:
        async with await asyncio.start_server(self._pass_on, "127.0.0.1", 0) as server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            ready.set()
            await over.wait()

    async def _pass_on(self, near: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        try:
            far, out = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            answers.close()
            return
        back = asyncio.create_task(self._copy(far, answers))
        try:
            while chunk := await near.read(65_536):
                out.write(chunk)
                await out.drain()
                if self._uses_up(len(chunk)):
                    await asyncio.to_thread(self._then)
                    break
        except OSError:
            pass
        back.cancel()
        for end in (out, answers):
            end.transport.abort()

    async def _copy(self, near: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        try:
            while chunk := await near.read(65_536):
                out.write(chunk)
                await out.drain()
        except OSError:
            pass
        out.close()

    def _uses_up(self, size: int) -> bool:
        before, self._left = self._left, self._left - size
        cut = before > 0 >= self._left
        self.cuts += cut
        return cut


@contextmanager
def line_to(port: int, cut_after: int, then: Callable[[], object] = lambda: None) -> Iterator[Line]:
    line = Line(port, cut_after, then)
    ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(line.serve(ready, over)), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield line
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
