"""The fork server's loop: forks on demand, tells of each child's end, ends when its slot has. Standard library only.

One thread, so that a fork copies all there is. Signals that ask a whole group of processes to end are held off:
children write their checkpoints then, and the server goes when its slot has gone.
"""

import os
import selectors
import signal
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass

from worker.forkserver.order import Order, code_line, pid_line

_HELD_OFF = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


@dataclass(frozen=True)
class _Child:
    pid: int
    line: int
    """Closed by the slot to let go of it."""
    end: int
    """A pidfd: readable when it has ended."""


class ForkServer:
    """Serves one slot. `serve` returns twice: in each child with what it is to do, in the server with None."""

    def __init__(self, orders: socket.socket, idle_seconds: float) -> None:
        """`idle_seconds`: without a child for so long, it ends."""
        self.pid = os.getpid()
        self._orders, self._idle_seconds = orders, idle_seconds
        self._children: dict[int, _Child] = {}
        """By the descriptors of both, line and end."""
        self._selector = selectors.DefaultSelector()
        self._mine: Order | None = None

    def serve(self) -> Order | None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_OFF)
        self._selector.register(self._orders, selectors.EVENT_READ)
        while self._look():
            pass
        return self._mine

    def _look(self) -> bool:
        """Do what is due next; False where nothing ever will be."""
        ready = [key.fd for key, _ in self._selector.select(None if self._children else self._idle_seconds)]
        for descriptor in ready:
            child = self._children.get(descriptor)  # its other descriptor may have been first
            if child and descriptor == child.end:
                self._tell_of_end(child)
            elif child:
                self._let_go(child)
        if self._orders.fileno() in ready:
            return self._fork()
        return bool(ready or self._children)

    def _fork(self) -> bool:
        received = Order.receive(self._orders)
        if received is None:
            for child in set(self._children.values()):
                self._let_go(child)
            return False
        order, (line, log, *held) = received
        pid = os.fork()
        if pid == 0:
            self._become(order, line, log)
            return False
        for descriptor in (log, *held):
            os.close(descriptor)
        self._watch(_Child(pid, line, os.pidfd_open(pid)))
        return True

    def _watch(self, child: _Child) -> None:
        for descriptor in (child.line, child.end):
            self._children[descriptor] = child
            self._selector.register(descriptor, selectors.EVENT_READ)

    def _become(self, order: Order, line: int, log: int) -> None:
        """Make the child what it would be had it been started anew. It keeps open what came after line and log."""
        os.setsid()
        _say(line, pid_line(os.getpid()))  # from here on its session can be killed as a whole
        for stream in (1, 2):
            os.dup2(log, stream)
        self._selector.close()
        self._orders.close()
        for descriptor in (line, log, *self._children):
            os.close(descriptor)
        os.chdir(order.folder)
        os.environ.clear()
        os.environ.update(order.environment)
        tempfile.tempdir = None  # torch had it looked up in the server's environment
        self._mine = order
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD_OFF)

    def _tell_of_end(self, child: _Child) -> None:
        """Its id stays taken until its slot lets go of it: who kills its session must not meet another's."""
        self._selector.unregister(child.end)
        if ended := os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT):
            _say(child.line, code_line(ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status))

    def _let_go(self, child: _Child) -> None:
        os.kill(child.pid, signal.SIGKILL)  # it may have no session of its own yet
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        for descriptor in (child.line, child.end):
            del self._children[descriptor]
            with suppress(KeyError):
                self._selector.unregister(descriptor)
            os.close(descriptor)


def _say(line: int, words: bytes) -> None:
    with suppress(OSError):  # the slot has let go: this shows on the line itself
        os.write(line, words)
