"""A slot's side of its fork server: started with the first child that is asked for, and again where it has ended."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

from worker.forkserver.order import Order, code_in, pid_in

_READY = ("torch._dynamo", "worker.engine.job", "worker.engine.inspection.datasets", "worker.engine.inspection.models")
"""What children find imported. torch._dynamo: optimisers import it, and it takes as long as torch itself."""
_OF_ITS_OWN = {
    "OMP_NUM_THREADS": "1",  # a child with several threads would hang after a server that had any
    "CUDA_VISIBLE_DEVICES": "",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",  # asks the driver without opening its devices
}
_START_SECONDS = 120.0
"""A disk that takes so long to read torch hangs."""
_TRIES = 2
"""A server may end, having had nothing to do, while it is asked."""

log = logging.getLogger(__name__)


class Forked:
    """A child of the fork server, to be used like an `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self._writer = writer
        self._code = asyncio.ensure_future(_code_of(reader))

    @property
    def returncode(self) -> int | None:
        return self._code.result() if self._code.done() and not self._code.cancelled() else None

    async def wait(self) -> int:
        return await asyncio.shield(self._code)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def let_go(self) -> None:
        """Have what is left of its session killed."""
        self._code.cancel()
        _close(self._writer)


def _close(writer: asyncio.StreamWriter) -> None:
    """Close a line at once, not when the loop comes to it."""
    with suppress(OSError):  # the server has closed it
        writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    writer.close()


async def _code_of(reader: asyncio.StreamReader) -> int:
    code = code_in(await _heard(reader))
    return -signal.SIGKILL if code is None else code  # with its server, which somebody killed


async def _heard(reader: asyncio.StreamReader, seconds: float | None = None) -> bytes:
    """Return the next line; nothing where the line is closed, or nothing comes."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(seconds):
            return await reader.readline()
    return b""


class ForkClient:
    """Of this process's one fork server. Asks for children that start warm, as long as the server works here."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None
        self._works = True

    async def fork(
        self, order: Order, descriptors: Sequence[int], idle_seconds: float, environment: Mapping[str, str]
    ) -> Forked | None:
        """Return a child, or None where there is no server to be had.

        `descriptors`: the child's log, and what it holds open as well; `idle_seconds`, `environment`: of the server,
        should one be started.
        """
        for _ in range(_TRIES if self._works else 0):
            if child := await self._ask(self._running(idle_seconds, environment), order, descriptors):
                return child
            self.close()
        if self._works:
            log.warning("jobs start cold from now on: the fork server has ended, this log may say why")
            self._works = False
        return None

    async def _ask(self, orders: socket.socket, order: Order, descriptors: Sequence[int]) -> Forked | None:
        ours, theirs = socket.socketpair()
        with theirs, suppress(OSError):  # it has ended: nobody will answer
            order.send(orders, [theirs.fileno(), *descriptors])
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        child = None
        try:
            if pid := pid_in(await _heard(reader, _START_SECONDS)):
                child = Forked(pid, reader, writer)
        finally:
            if child is None:
                _close(writer)
        return child

    def _running(self, idle_seconds: float, environment: Mapping[str, str]) -> socket.socket:
        """Return the socket of a server that runs, or is about to."""
        if self._orders is None:
            self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            line = [sys.executable, "-P", "-m", "worker.forkserver", str(os.getpid()), str(theirs.fileno())]
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own command
                    [*line, str(idle_seconds), *_READY],
                    cwd="/",
                    env={**environment, **_OF_ITS_OWN},
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
        return self._orders

    def close(self) -> None:
        """End the server, and with it all its children."""
        if self._orders and self._process:
            self._orders.close()
            self._process.kill()
            self._process.wait()
            self._orders = self._process = None
