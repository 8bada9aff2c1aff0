"""Callers who mean no good: slow heads, slow bodies, deep documents, and what browsers are told."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from app.api.deadlines import Deadlines
from app.db.session import Database
from app.db.tables import Job
from app.main import create_app
from app.settings import Settings
from app.store import Store
from tests.api.conftest import House, running

DEPTHS = (50, 900, 10_000, 400_000)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is tried here never meets the database's dialect."""
    return sqlite_url


@pytest.fixture
def impatient(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Deadlines, "HEAD_SECONDS", 0.5)
    quick = settings.model_copy(update={"body_patience_seconds": 0.5, "slowest_bytes_per_second": 1000})
    with running(quick) as url:
        yield url


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as sock:
        yield sock


def answer_on(sock: socket.socket) -> tuple[int, Any]:
    """Read to the end of the connection; return status and document."""
    content = b""
    while piece := sock.recv(65536):
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, content
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    "begun", [b"", b"GET /healthz HTTP/1.1\r\n", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "]
)
def test_a_head_that_does_not_come_is_not_waited_for(impatient: str, begun: bytes) -> None:
    with connected(impatient) as sock:
        sock.sendall(begun)
        status, document = answer_on(sock)
    assert (status, document["code"]) == (408, "request_timeout")
    assert "did not come within 0.5 s" in document["detail"]
    assert document["request_id"].startswith("req_")


def test_a_head_that_trickles_in_has_no_more_time(impatient: str) -> None:
    begun = time.monotonic()
    with connected(impatient) as sock, pytest.raises((BrokenPipeError, ConnectionResetError)):
        trickle(sock)
    assert time.monotonic() - begun < 8


def trickle(sock: socket.socket) -> None:
    for _ in range(200):
        sock.sendall(b"X")
        time.sleep(0.05)


def test_an_idle_connection_between_two_requests_is_left_alone(impatient: str) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with connected(impatient) as sock:
        for _ in range(2):
            sock.sendall(request)
            assert until(sock, b'{"status":"ok"}').startswith(b"HTTP/1.1 200")
            time.sleep(1)


def until(sock: socket.socket, ending: bytes) -> bytes:
    content = b""
    while not content.endswith(ending):
        content += sock.recv(65536)
    return content


@pytest.mark.owasp(4)
def test_half_open_connections_lock_nobody_out(impatient: str) -> None:
    half_open = [socket.create_connection((urlsplit(impatient).hostname, urlsplit(impatient).port)) for _ in range(300)]
    try:
        assert httpx2.get(f"{impatient}/healthz").status_code == 200
        time.sleep(1.5)
        assert all(sock.recv(65536) for sock in half_open)  # each was answered, and let go
    finally:
        for sock in half_open:
            sock.close()


@pytest.mark.owasp(4)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/files", "/v1/models"])
def test_a_body_that_trickles_in_is_refused(impatient: str, path: str) -> None:
    kind = "multipart/form-data; boundary=x" if path == "/v1/files" else "application/json"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: 10000\r\n\r\n"
    with connected(impatient) as sock:
        sock.sendall(head.encode() + b"--x\r\n")
        status, document = answer_on(sock)
    assert (status, document["code"]) == (408, "request_timeout")
    assert "slower than 1000 bytes a second" in document["detail"]


def test_a_body_that_comes_in_as_fast_as_is_asked_is_taken(impatient: str) -> None:
    def slowly() -> Iterator[bytes]:
        yield b'{"name": "'
        for _ in range(20):
            time.sleep(0.1)
            yield b"x" * 200
        yield b'"}'

    answer = httpx2.post(f"{impatient}/v1/jobs", content=slowly(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


@pytest.mark.owasp(4)
@pytest.mark.parametrize("depth", DEPTHS)
def test_deep_documents_are_refused_in_our_words(house: House, depth: int) -> None:
    shapes = (("[", "]"), ('{"architecture":', "}"))
    for path, (opening, closing) in product(("jobs", "jobs/validate", "models", "datasets"), shapes):
        body = opening * depth + "1" + closing * depth
        answer = house.client.post(f"/v1/{path}", content=body, headers={"Content-Type": "application/json"})
        if answer.status_code == 200:  # what is wrong is what was asked for
            assert not answer.json()["valid"]
        else:
            assert answer.status_code in {400, 413, 422}, answer.text[:500]
            assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.owasp(8)
@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/nothing", "/healthz", "/docs", "/errors", "/openapi.json", "/metrics"]
)
def test_browsers_are_told_to_trust_nothing(house: House, path: str) -> None:
    headers = house.client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]


@pytest.mark.owasp(8)
def test_no_page_of_another_origin_is_let_in(house: House) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    for answer in (house.client.get("/healthz", headers=asked), house.client.options("/v1/jobs", headers=asked)):
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_pages_of_named_origins_are_let_in(settings: Settings) -> None:
    lab = "https://lab.example"
    with running(settings.model_copy(update={"cors_origins": [lab]})) as url:
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        mine = httpx2.options(f"{url}/v1/jobs", headers={"Origin": lab, **asked})
        assert (mine.status_code, mine.headers["Access-Control-Allow-Origin"]) == (200, lab)
        assert "Access-Control-Allow-Credentials" not in mine.headers
        other = httpx2.options(f"{url}/v1/jobs", headers={"Origin": "https://elsewhere.example", **asked})
        assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.owasp(8)
def test_what_breaks_inside_is_told_to_the_log_alone(house: House, caplog: pytest.LogCaptureFixture) -> None:
    job = house.submit()["id"]

    async def spoil(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await session.execute(update(Job).values(spec={"secret": "of the spec"}))

    house.work(spoil)
    answer = house.client.get(f"/v1/jobs/{job}")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["detail"] == "something went wrong on our side; the log has it under this request id"
    assert not re.search(r"Traceback|pydantic|secret|\.py|File ", answer.text)
    assert "of the spec" in caplog.text


@pytest.mark.owasp(8)
def test_nothing_is_on_by_default_that_an_attacker_would_like() -> None:
    settings = Settings()
    assert settings.cors_origins == []
    for name, field in Settings.model_fields.items():
        if field.annotation is SecretStr:
            assert field.default.get_secret_value() == "", name
    assert not create_app(settings).debug
