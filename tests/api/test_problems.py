"""Every error is problem+json, whatever went wrong."""

import base64
import hashlib
import json
import re
import shutil
import socket
from typing import Any

import httpx2
import pytest

from app.contract import explained
from app.db.session import Database
from app.db.tables import Worker
from app.queue import Bell
from app.settings import Settings
from app.workers import service as workers
from tests.api.conftest import ON_SQLITE, House, running
from tests.openapi import operations


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/jobs/job_1", 404, "not_found"),
        ("GET", "/v1/jobs/job_1/events", 404, "not_found"),
        ("GET", "/v1/jobs/job_1/student", 404, "not_found"),
        ("GET", "/v1/models/mdl_1", 404, "not_found"),
        ("GET", "/v1/datasets/ds_1", 404, "not_found"),
        ("GET", "/v1/files/file_1", 404, "not_found"),
        ("GET", "/v1/artifacts/art_1", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("GET", "/v1/jobs?limit=0", 422, "invalid_request"),
        ("GET", "/v1/jobs?state=dancing", 422, "invalid_request"),
        ("GET", "/v1/jobs?label=x", 400, "bad_request"),
    ],
)
@ON_SQLITE
def test_errors_have_one_form(house: House, method: str, path: str, status: int, code: str) -> None:
    answer = house.client.request(method, path, headers={"X-Request-ID": "mine"})
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == body["request_id"] == "mine"
    assert body["help"] == explained.PROBLEMS.codes[code].remedy
    page = house.client.get(str(answer.request.url.join(body["type"])))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"<code>{code}</code>" in page.text


def test_the_page_of_all_errors_needs_nothing_from_elsewhere_and_runs_nothing(house: House) -> None:
    page = house.client.get("/errors")
    for section in explained.SECTIONS:
        for code in section.codes:
            assert f'id="{code}"' in page.text
    assert not re.search(r"<script|<link|<img|https?:|\bon\w+=", page.text)
    style = hashlib.sha256(page.text.split("<style>")[1].split("</style>")[0].encode()).digest()
    assert f"style-src 'sha256-{base64.b64encode(style).decode()}'" in page.headers["content-security-policy"]


def test_a_code_that_is_none_has_no_page(house: House) -> None:
    answer = house.client.get("/errors/<b>nonsense")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_behind_a_proxy_with_a_path_of_its_own_types_begin_with_it(house: House) -> None:
    with running(house.settings, root_path="/distil") as url:  # the proxy takes it off again
        assert httpx2.get(f"{url}/v1/nothing").json()["type"] == "/distil/errors/not_found"


def test_405_lists_what_is_allowed(house: House) -> None:
    assert house.client.put("/v1/jobs").headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize("body", [b"{", b"", b"[" * 100_000, b"\xff", b'{"a": NaN'])
@ON_SQLITE
def test_what_is_not_json_is_a_client_error(house: House, body: bytes) -> None:
    answer = house.client.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_text_that_no_database_holds_is_refused(house: House) -> None:
    """Walks the OpenAPI document: a NUL in every id of a path, in every text of a query."""
    tried = 0
    for operation in operations(house.client.get("/openapi.json").json()):
        sent = operation.requests(dict.fromkeys(operation.parameters, "a%00b"))[0]
        texts = [one["name"] for one in operation.described.get("parameters", []) if one["in"] == "query"
                 and one["schema"].get("type") == "string" and "format" not in one["schema"]]  # fmt: skip
        for query in [{}] * bool(operation.parameters) + [{name: "a\0:b"} for name in texts]:
            answer = house.client.request(**sent, params=query)
            assert (answer.status_code, answer.json()["code"]) in REFUSED, (operation.id, query, answer.text)
            tried += 1
    assert tried >= 50


REFUSED = {(422, "invalid_request"), (400, "bad_request")}  # 400: a cursor


@pytest.mark.parametrize("text", ["\0", "a\0", "\ud800", "a\udfffb"])
def test_bodies_with_text_that_no_database_holds_are_refused(house: House, text: str) -> None:
    bodies = {
        "/v1/accounts": ({"name": text}, "/name"),
        "/v1/jobs": ({"labels": {"a": text}}, "/labels/a"),
        "/v1/jobs/validate": ({"student": [{"key_map": {text: "0"}}]}, "/student/0/key_map"),
        "/v1/models": ({"class_names": ["a", text]}, "/class_names/1"),
        "/v1/datasets": ({"format": {"inputs": text}}, "/format/inputs"),
    }
    for path, (body, pointer) in bodies.items():
        answer = house.client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert (answer.status_code, [one["pointer"] for one in answer.json()["errors"]]) == (422, [pointer]), path


@pytest.mark.parametrize("cursor", ["AA", "am9iXwA", "Li4v"])  # NUL, job_ and NUL, ../
def test_a_cursor_of_ones_own_making_is_refused(house: House, cursor: str) -> None:
    assert house.client.get("/v1/jobs", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"])
def test_a_time_beyond_the_calendar_is_refused(house: House, moment: str) -> None:
    for path, name in (("/v1/jobs", "created_after"), ("/v1/audit_log", "created_before")):
        answer = house.client.get(path, params={name: moment})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("body", [[], "x", 1, None, {"a": 10**400}])
@ON_SQLITE
def test_json_that_is_no_spec_is_a_client_error(house: House, body: Any) -> None:
    for path in ("/v1/jobs", "/v1/jobs/validate", "/v1/models", "/v1/datasets"):
        answer = house.client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert answer.status_code in {200, 400, 422}, answer.text


@pytest.mark.owasp(4)
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_that_is_too_large_is_413(house: House, announced: bool) -> None:
    body = b" " * (house.settings.max_body_bytes + 1)
    content = body if announced else iter([body])
    answer = house.client.post("/v1/jobs", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


def test_another_tenants_job_is_one_that_is_not_there(house: House) -> None:
    from sqlalchemy import update

    from app.db.session import Database
    from app.db.tables import Job
    from app.store import Store

    job = house.submit()["id"]

    async def give_away(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await session.execute(update(Job).values(tenant_id="tnt_other"))

    house.work(give_away)
    assert house.client.get(f"/v1/jobs/{job}").status_code == 404
    assert house.client.post(f"/v1/jobs/{job}/cancel").status_code == 404
    assert house.client.get("/v1/jobs").json()["data"] == []


def test_an_odd_request_id_is_not_taken(house: House) -> None:
    answer = house.client.get("/healthz", headers={"X-Request-ID": "a b\x7f"})
    assert answer.headers["x-request-id"].startswith("req_")


def test_ready_tells_a_database_that_is_away_from_one_without_a_schema(house: House) -> None:
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    with running(Settings(**{**house.settings.model_dump(), "database_url": nowhere})) as url:
        answer = httpx2.get(f"{url}/readyz")
    parts = answer.json()["parts"]
    assert (answer.status_code, {name for name, part in parts.items() if part["ok"]}) == (503, {"broker", "store"})
    assert parts["migrations"]["detail"] == "unknown: the database cannot be reached"


def test_ready_sees_a_store_that_is_gone(house: House) -> None:
    shutil.rmtree(house.settings.data / "blobs")
    answer = house.client.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["store"]["ok"]) == (503, False)
    assert "is not there" in answer.json()["parts"]["store"]["detail"]


def test_ready_does_not_wait_for_a_broker_that_says_nothing(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with running(Settings(**{**house.settings.model_dump(), "broker_url": url})) as service:
            answer = httpx2.get(f"{service}/readyz", timeout=8)
    assert {name for name, part in answer.json()["parts"].items() if not part["ok"]} == {"broker"}


def test_ready_says_what_it_stands_on(house: House) -> None:
    answer = house.client.get("/readyz")
    assert answer.status_code == 200, answer.text
    parts = answer.json()["parts"]
    assert parts.keys() == {"database", "migrations", "broker", "store", "sandbox"}
    assert parts["sandbox"]["detail"] == "unknown: no worker is there"


@pytest.mark.anyio
async def test_ready_says_which_walls_stand_around_uploads(house: House) -> None:
    database = Database(house.settings.database, Bell(house.settings.broker_url))
    async with database.transaction() as session:
        for name, layers in (("one", ["rlimits", "landlock"]), ("two", ["rlimits"]), ("three", ["rlimits"])):
            await workers.beat(session, Worker(id=name, name=name, devices=[], device_use=[], slots=1, sandbox=layers))
    await database.close()
    part = house.client.get("/readyz").json()["parts"]["sandbox"]
    assert part == {"ok": True, "detail": "around uploads: rlimits, landlock; 2 of 3 workers lack landlock"}
