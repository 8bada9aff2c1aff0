"""The service's listening socket: bound here, so that a taken port is known at once and no other process gets it."""

import socket

from stillhouse.errors import StillhouseError

HOST = "127.0.0.1"
"""Loopback only: the service has no keys yet, and whoever reaches it may use it."""


class PortTaken(StillhouseError):
    """Somebody else listens there, or the port may not be used."""


def bind(port: int) -> socket.socket:
    """Return a socket that listens on `port` (0: a free one) of the loopback."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. uvicorn takes an inherited socket for a Unix one and would leave Nagle's delays on.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise PortTaken(
            f"port {port} on {HOST} cannot be used ({reason}); choose another with --port, or --port 0 for a free one"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"
