"""A small HTTP server in the API's place, which says what reaches it, and when."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FIRST, LAST = b"id: 1\n\n", b"id: 2\n\n"


class Listener(ThreadingHTTPServer):
    """GET answers with the request's headers; a path that ends in /events sends one event, and another when told to.
    POST answers with the number of bytes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body_begun = threading.Event()
        self.go_on = threading.Event()
        self.port: int = self.server_address[1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def do_GET(self) -> None:
        if self.path.endswith("/events"):
            self._stream()
        else:
            self._answer(dict(self.headers))

    def do_POST(self) -> None:
        size, read = int(self.headers["Content-Length"]), 0
        while read < size:
            read += len(self.rfile.read1(min(65536, size - read)))
            self.server.body_begun.set()
        self._answer({"bytes": read})

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(FIRST)
        self.server.go_on.wait(10)
        self.wfile.write(LAST)
        self.close_connection = True

    def _answer(self, body: object) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""


@contextmanager
def listening() -> Iterator[Listener]:
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()
