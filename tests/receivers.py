"""A real receiver of webhooks on this host: it keeps what comes, and answers, or misbehaves, as told."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

HERE = {"webhook_http": True, "webhook_networks": ["127.0.0.0/8"]}
"""Settings that let webhooks reach a receiver."""


@dataclass
class Came:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """Return the payload as the library of Standard Webhooks gives it to a receiver. Raises where it is forged."""
        return Webhook(secret).verify(self.body, self.headers)


Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """`behaviour`: what it does with each request that came."""

    port: int
    scheme: str = "http"
    behaviour: Behaviour = field(default=lambda handler: answer(handler, 204))
    came: list[Came] = field(default_factory=list)
    hung_up_on: int = 0
    """Answers that the other end did not want to the end."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"


def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def answering(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    return lambda handler: answer(handler, status, body, **headers)


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """One after another; the last one stays."""
    left = list(behaviours)

    def behave(handler: BaseHTTPRequestHandler) -> None:
        next_one = left.pop(0) if len(left) > 1 else left[0]
        next_one(handler)

    return behave


def hang(seconds: float = 20.0) -> Behaviour:
    """Say nothing, until the other end hangs up."""

    def wait(handler: BaseHTTPRequestHandler) -> None:
        handler.connection.settimeout(seconds)
        if not handler.rfile.read(1):
            raise ConnectionAbortedError

    return wait


def flood(size: int) -> Behaviour:
    """Answer with so many bytes, as fast as they are taken."""

    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(size))
        handler.end_headers()
        for _ in range(size // 2**20):
            handler.wfile.write(b"x" * 2**20)

    return pour


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Answer one byte of the head at a time, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x")
        time.sleep(0.05)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.came.append(Came(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        try:
            self.receiver.behaviour(self)
        except OSError:  # the sender had enough
            self.receiver.hung_up_on += 1
            self.close_connection = True

    def log_message(self, *words: Any) -> None:
        pass


@contextmanager
def receiving(behaviour: Behaviour | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        handler.receiver = receiver = Receiver(server.server_address[1], "https" if tls else "http")
        if behaviour:
            receiver.behaviour = behaviour
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def name_servers(monkeypatch: pytest.MonkeyPatch, names: Mapping[str, list[list[str]]]) -> None:
    """Have names answer with these addresses, look-up by look-up; without any left they are not found."""
    real = socket.getaddrinfo

    def look_up(host: Any, *words: Any, **more: Any) -> Any:
        if host not in names:
            return real(host, *words, **more)
        if not names[host]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [found for address in names[host].pop(0) for found in real(address, *words, **more)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
