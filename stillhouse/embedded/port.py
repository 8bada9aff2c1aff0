"""The service's listening socket: bound here, so that a taken port is known at once and no other process gets it."""

import socket
from ipaddress import ip_address

from stillhouse.errors import StillhouseError

HOST = "127.0.0.1"
"""Loopback, unless told otherwise: nobody else is answered before there are keys."""


class PortTaken(StillhouseError):
    """Somebody else listens there, or the port may not be used."""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches that address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def bind(port: int, host: str = HOST) -> socket.socket:
    """Return a socket that listens on `port` (0: a free one) of an address of this machine."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Connections inherit it. uvicorn takes an inherited socket for a Unix one and would leave Nagle's delays on.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise PortTaken(
            f"port {port} on {host} cannot be used ({reason}); choose another with --port, or --port 0 for a free one"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return where this machine itself reaches it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": HOST, "::": "::1"}.get(host, host)  # noqa: S104  # every address, the loopback among them
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
