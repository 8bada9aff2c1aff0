"""Requests for more than anybody needs (OWASP API4:2023): refused in our words, and nothing is written."""

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import insert

from app.db.base import new_id
from app.db.session import Database
from app.db.tables import Job
from app.settings import Settings
from tests.api.conftest import House
from tests.api.test_limits import declare

TERABYTE = 10**12


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is tried here never meets the database's dialect."""
    return sqlite_url


def jobs(house: House) -> int:
    return int(house.client.get("/v1/usage").json()["used"]["queued_jobs"])


@pytest.mark.owasp(4)
@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"training": {"epochs": 10**9}}, "/training/epochs"),
        ({"training": {"epochs": 100_000}, "generations": 10}, "/training/epochs"),
        ({"stages": [{"name": "a", "objective": [{"kind": "soft_target"}], "epochs": 10**9}]}, "/stages/0/epochs"),
        ({"generations": 10**9}, "/generations"),
        ({"max_runtime": -1}, "/max_runtime"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_absurd_specs(house: House, spec: dict[str, Any], pointer: str) -> None:
    answer = house.client.post("/v1/jobs", json={**house.ready(), **spec})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert jobs(house) == 0


@pytest.mark.owasp(4)
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/models", "/v1/files", "/v1/jobs/validate"])
def test_a_content_length_of_a_terabyte(house: House, path: str) -> None:
    kind = "multipart/form-data; boundary=x" if path == "/v1/files" else "application/json"
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {TERABYTE}\r\n\r\n"
    at = urlsplit(str(house.client.base_url))
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=20) as sock:
        sock.sendall(head.encode())
        answer = b""
        while b"}" not in answer.partition(b"\r\n\r\n")[2]:
            answer += sock.recv(65536)
    told = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert (told["status"], told["code"]) == (413, "payload_too_large")


@pytest.mark.owasp(4)
def test_an_upload_of_a_terabyte(house: House) -> None:
    assert declare(house, TERABYTE).status_code == 413
    assert house.client.get("/v1/uploads").json()["data"] == []


@pytest.mark.owasp(4)
def test_ten_thousand_queued_jobs(house: House) -> None:
    spec = house.ready()
    first = house.client.post("/v1/jobs", json=spec).json()["id"]
    most = Settings.model_fields["limit_queued_jobs"].default
    house.work(lambda database, _: copy(database, first, most - 2))
    statuses = [house.client.post("/v1/jobs", json=spec).status_code for _ in range(4)]
    assert statuses == [201, 409, 409, 409]
    assert jobs(house) == most


async def copy(database: Database, job_id: str, times: int) -> None:
    async with database.transaction() as session:
        job = await session.get_one(Job, job_id)
        values = {column.key: getattr(job, column.key) for column in Job.__table__.columns}
        await session.execute(insert(Job), [{**values, "id": new_id("job")} for _ in range(times)])
