"""What a slot asks its fork server for. Travels over a Unix socket, with the descriptors that the child is to hold.

The answers come on a line of the child's own: its id when it is there, its exit code when it has ended. Closing the
line is to let go of the child: what is left of its session is killed.
"""

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

_LONGEST = 2**17
_MOST_DESCRIPTORS = 200


@dataclass(frozen=True)
class Order:
    """A child that is to be."""

    walls: dict[str, Any]
    """`Walls`; their `parent` becomes the server."""
    environment: dict[str, str]
    """All of it."""
    folder: str
    """To start in."""
    module: str
    """To run behind the walls."""
    arguments: list[str]

    def send(self, through: socket.socket, descriptors: Sequence[int]) -> None:
        """`descriptors`: the child's line, its log, and what it holds open as well. Raises OSError."""
        socket.send_fds(through, [json.dumps(asdict(self)).encode()], descriptors)

    @classmethod
    def receive(cls, through: socket.socket) -> tuple[Self, list[int]] | None:
        """Wait for the next one, and the descriptors that came with it; None where nobody is left to ask."""
        content, descriptors, _, _ = socket.recv_fds(through, _LONGEST, _MOST_DESCRIPTORS)
        return (cls(**json.loads(content)), descriptors) if content else None


def pid_line(pid: int) -> bytes:
    """The child's own first word."""
    return b"pid %d\n" % pid


def code_line(code: int) -> bytes:
    """The server's word on the child's end. `code`: negative for the number of a signal."""
    return b"code %d\n" % code


def pid_in(line: bytes) -> int | None:
    return _number(line, b"pid")


def code_in(line: bytes) -> int | None:
    return _number(line, b"code")


def _number(line: bytes, word: bytes) -> int | None:
    first, _, number = line.partition(b" ")
    return int(number) if first == word else None
