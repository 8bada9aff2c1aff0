"""deploy/nginx.conf on the real nginx: what it lets through, what it holds back, and what it answers itself."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.contract.resources import ProblemDocument
from app.settings import Settings
from tests.packaging.composition import seconds, services
from tests.packaging.gateway import CONF, free_port, gateway
from tests.packaging.listener import FIRST, LAST, Listener, listening

HALF = b"x" * 1000
SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


@pytest.fixture
def api() -> Iterator[Listener]:
    with listening() as server:
        yield server


@pytest.fixture
def port(api: Listener, tmp_path: Path) -> Iterator[int]:
    with gateway(tmp_path, api.port) as found:
        yield found


def _open(port: int, path: str, size: int) -> socket.socket:
    """Send the head of a POST and half of its body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode() + HALF)
    return connection


def _read(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def _problem(answer: httpx2.Response, status: int, code: str) -> ProblemDocument:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    problem = ProblemDocument.model_validate_json(answer.text)
    assert (problem.status, problem.code) == (status, code)
    assert problem.type == f"/errors/{code}"
    assert problem.request_id == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize("path", ["/v1/files", "/v1/uploads/upl_1"])
def test_an_upload_reaches_the_api_while_it_is_sent(api: Listener, port: int, path: str) -> None:
    with _open(port, path, 2 * len(HALF)) as connection:
        assert api.body_begun.wait(5), "the upload was held back"
        connection.sendall(HALF)
        assert _read(connection).endswith(b'{"bytes": 2000}')


def test_a_json_body_reaches_the_api_only_when_it_is_whole(api: Listener, port: int) -> None:
    with _open(port, "/v1/jobs", 2 * len(HALF)) as connection:
        assert not api.body_begun.wait(0.3), "a slow sender occupies the API"
        connection.sendall(HALF)
        assert _read(connection).endswith(b'{"bytes": 2000}')


def test_events_reach_the_client_as_they_come(api: Listener, port: int) -> None:
    url = f"http://127.0.0.1:{port}/v1/jobs/job_1/events"
    with httpx2.stream("GET", url, timeout=5) as answer:
        pieces = answer.iter_raw()
        assert next(pieces) == FIRST  # held back, this would time out
        api.go_on.set()
        assert b"".join(pieces) == LAST


def test_what_the_caller_claims_about_itself_is_overwritten(port: int) -> None:
    claims = {"X-Forwarded-For": "10.9.8.7", "X-Forwarded-Proto": "https", "Host": "example.org:8000"}
    seen = httpx2.get(f"http://127.0.0.1:{port}/any", headers=claims).json()
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen["X-Forwarded-Host"] == seen["Host"] == "example.org:8000"


@pytest.mark.parametrize(("given", "kept"), [("trace-1.a_B", True), ("a b", False), ('"}', False), ("x" * 101, False)])
def test_a_sane_request_id_is_passed_on_and_any_other_replaced(given: str, kept: bool, port: int) -> None:
    seen = httpx2.get(f"http://127.0.0.1:{port}/any", headers={"X-Request-ID": given}).json()["X-Request-ID"]
    assert (seen == given) is kept
    assert kept or re.fullmatch("req_[0-9a-f]{32}", seen)


@pytest.mark.parametrize(
    ("path", "size"),
    [("/v1/files", 10**12), ("/v1/uploads/upl_1", 10**12), ("/v1/jobs", 3 * 2**20), ("/v1/uploads", 3 * 2**20)],
)
def test_an_announced_size_beyond_the_bound_is_refused_at_once(path: str, size: int, port: int) -> None:
    with _open(port, path, size) as connection:
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 413 ")
    problem = ProblemDocument.model_validate_json(answer.partition("\r\n\r\n")[2])
    assert problem.code == "payload_too_large"


def test_an_api_that_is_away_is_a_problem_document_too(tmp_path: Path) -> None:
    with gateway(tmp_path, api=free_port()) as port:
        answer = httpx2.get(f"http://127.0.0.1:{port}/v1/jobs", headers={"X-Request-ID": "mine"})
    assert _problem(answer, 503, "service_unavailable").request_id == "mine"
    assert answer.headers["retry-after"] == "5"


def test_a_request_line_beyond_the_bound_is_a_problem_document_too(port: int) -> None:
    _problem(httpx2.get(f"http://127.0.0.1:{port}/{'x' * 40_000}"), 400, "bad_request")


def test_metrics_are_not_for_the_world(port: int) -> None:
    _problem(httpx2.get(f"http://127.0.0.1:{port}/metrics"), 404, "not_found")
    assert httpx2.get(f"http://127.0.0.1:{port}/metrics2").status_code == 200


def test_half_sent_headers_end_at_the_deadline(api: Listener, tmp_path: Path) -> None:
    shorter = {"client_header_timeout 10s": "client_header_timeout 1s"}
    with gateway(tmp_path, api.port, shorter) as port, socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        for _ in range(3):  # slow, not silent: the deadline is for all of the headers
            time.sleep(0.3)
            connection.sendall(b"x")
        with pytest.raises(ConnectionError):  # noqa: PT012 - closed or reset, as the timing has it
            assert connection.recv(1) == b""
            raise ConnectionResetError
        assert time.monotonic() - began < 5


def test_the_bounds_on_sizes_leave_room_for_what_the_api_allows() -> None:
    bounds = re.findall(r"client_max_body_size (\d+)([kmg]?);", CONF.read_text())
    json_bound, upload_bound = (int(number) * SIZES[unit] for number, unit in bounds)
    settings = Settings.model_fields
    assert settings["max_body_bytes"].default < json_bound <= 2 * settings["max_body_bytes"].default
    assert 64 * 2**10 < upload_bound - settings["limit_upload_bytes"].default <= 2**20  # the form around the file


def test_nginx_closes_idle_connections_before_the_api_does() -> None:
    [ours] = re.findall(r"keepalive 32;\n\s+keepalive_timeout (\w+);", CONF.read_text())
    command = services()["api"]["command"]
    assert seconds(ours) < int(command[command.index("--timeout-keep-alive") + 1])
