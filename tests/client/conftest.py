"""A real HTTP server that answers as told, for what the service itself cannot easily show: refusals, cut streams."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from stillhouse import Stillhouse

JOB = "job_" + "0" * 31 + "1"
SPEC = {
    "teacher": "mdl_" + "0" * 32,
    "student": {"architecture": {"kind": "mlp", "inputs": 4, "classes": 2}},
    "transfer_set": "ds_" + "0" * 32,
}


@dataclass
class Answer:
    """`cut`: send so many bytes of the body, then drop the connection. `hold`: keep it open until the event is set."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    hold: threading.Event | None = None


@dataclass
class Asked:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """Answers for each (method, path), used up in order; the last one stays. `asked` is what came in."""

    url: str
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def next(self, method: str, path: str) -> Answer:
        answers = self.answers.get((method, path))
        if not answers:
            return problem(404, "not_found", f"no answer is told for {method} {path}")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


def problem(status: int, code: str, detail: str, *errors: dict[str, str], **headers: str) -> Answer:
    document = {"type": "about:blank", "title": code, "status": status, "detail": detail, "code": code}
    body = json.dumps({**document, "request_id": "req_7", "errors": errors}).encode()
    return Answer(status, body, {"Content-Type": "application/problem+json", **headers})


def job(state: str = "queued", **fields: Any) -> dict[str, Any]:
    """Return a job as the service answers it."""
    empty = dict.fromkeys(
        ["name", "phase", "eta_seconds", "queue_position", "blocked_by", "stop_reason", "failure", "started_at",
         "finished_at"]
    )  # fmt: skip
    numbers = {"progress": 0.0, "attempt": 1, "max_attempts": 3, "priority": 0, "version": 1}
    rest = {"labels": {}, "spec": SPEC, "spec_hash": "0" * 64, "created_at": "2026-01-01T00:00:00Z"}
    return {"id": JOB, "state": state, **empty, **numbers, **rest, **fields}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Scripted

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.script.asked.append(Asked(self.command, parts.path, parts.query, dict(self.headers), body))
        answer = self.script.next(self.command, parts.path)
        self.send_response(answer.status)
        length = {} if answer.hold else {"Content-Length": str(len(answer.body))}
        for name, value in {**length, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])
        self.wfile.flush()
        if answer.hold:
            answer.hold.wait(30)
        if answer.cut is not None or answer.hold:
            self.close_connection = True

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, *words: Any) -> None:
        pass


@pytest.fixture
def script() -> Iterator[Scripted]:
    """Yield a server that answers as told."""
    handler = type("Handler", (_Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        handler.script = Scripted(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler.script
        server.shutdown()
        thread.join()


@pytest.fixture
def client(script: Scripted) -> Iterator[Stillhouse]:
    with Stillhouse(script.url, timeout=10, retries=3, progress=False) as client:
        yield client


@pytest.fixture
def answers() -> Any:
    """Return this file's makers of answers: tests of this layout cannot import it."""
    from types import SimpleNamespace

    return SimpleNamespace(Answer=Answer, json=as_json, problem=problem, job=job, JOB=JOB, SPEC=SPEC)
