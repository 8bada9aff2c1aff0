"""Tenants apart: nobody sees, names, uses or finds out what another one has."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Engine, event

from app.contract.accounts import Scope
from app.db.session import Database
from app.db.tables import Worker
from app.jobs import leases
from app.store import Store
from app.workers import service as workers
from tests.api.conftest import STUDENT, TEACHER, House
from tests.api.keys import bearing, first_key, make_key, open_account
from tests.openapi import operations


@pytest.fixture
def admin(house: House) -> Iterator[House]:
    with bearing(house, first_key(house.settings)) as seen:
        yield seen


@pytest.fixture
def mine(house: House, admin: House) -> Iterator[House]:
    with bearing(house, make_key(admin)["key"]) as seen:
        yield seen


@pytest.fixture
def theirs(house: House, admin: House) -> Iterator[House]:
    """Somebody of another account, with every scope that is not of the whole installation."""
    with bearing(house, make_key(admin, account=open_account(admin))["key"]) as seen:
        yield seen


@pytest.fixture
def ids(mine: House, tmp_path: Path) -> dict[str, str]:
    """One thing of each kind, under its name in the paths."""
    job = mine.submit(max_attempts=1)
    finished = mine.finish({"student": b"student", "report": b"{}"}, tmp_path)
    assert finished == job["id"]
    [artifact, _] = mine.client.get(f"/v1/jobs/{finished}/artifacts").json()["data"]
    webhook = mine.client.post("/v1/webhooks", json={"url": "https://[2000::1]/"}).json()["id"]
    upload = mine.client.post("/v1/uploads", headers={"Upload-Length": "9", "Tus-Resumable": "1.0.0"}).json()
    return {
        "job_id": finished,
        "artifact_id": artifact["id"],
        "upload_id": upload["id"],
        "file_id": mine.upload().json()["id"],
        "model_id": job["spec"]["teacher"],
        "dataset_id": job["spec"]["transfer_set"],
        "webhook_id": webhook,
        "delivery_id": mine.client.post(f"/v1/webhooks/{webhook}/test").json()["id"],
    }


def absent(ids: dict[str, str]) -> dict[str, str]:
    """Return ids of the same form that nobody has."""
    return {name: value[:-8] + "00000000" for name, value in ids.items()}


@pytest.mark.owasp(1)
def test_another_tenants_id_is_one_that_is_not_there(mine: House, theirs: House, ids: dict[str, str]) -> None:
    """Walks the OpenAPI document: every operation with an id in its path. It is as much work for the database, too."""
    tried = 0
    theirs.client.get("/v1/jobs")  # notes that the key is used
    for operation in operations(mine.client.get("/openapi.json").json()):
        if not operation.parameters or operation.scope == Scope.ADMIN:
            continue
        if operation.method == "GET":  # the owner finds it
            assert mine.client.request(**operation.requests(ids)[0]).status_code == 200, operation.id
        answers, work = zip(*(counted(theirs, operation.requests(one)[0]) for one in (ids, absent(ids))), strict=True)
        named = [[one[name] for name in operation.parameters] for one in (ids, absent(ids))]
        told = [without(answer.json(), one) for answer, one in zip(answers, named, strict=True)]
        assert told[0] == told[1], operation.id
        assert told[0]["status"] == 404, operation.id
        assert work[0] == work[1] > 0, operation.id
        tried += 1
    assert tried >= 35
    assert mine.client.get(f"/v1/jobs/{ids['job_id']}").json()["state"] == "succeeded"


def counted(house: House, request: dict[str, Any]) -> tuple[httpx2.Response, int]:
    """Return the answer, and how many SQL statements it took."""
    statements: list[object] = []

    def note(*told: object) -> None:
        statements.append(told)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        return house.client.request(**request), len(statements)
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def without(document: dict[str, Any], named: list[str]) -> dict[str, Any]:
    """Return a problem document without what differs between any two requests."""
    detail = document["detail"]
    for one in named:
        detail = detail.replace(one, "ID")
    return {**document, "request_id": "", "detail": detail}


@pytest.mark.owasp(1)
def test_lists_hold_only_what_is_ones_own(mine: House, theirs: House, ids: dict[str, str]) -> None:
    for path in ("/v1/jobs", "/v1/models", "/v1/datasets", "/v1/uploads", "/v1/webhooks"):
        assert mine.client.get(path).json()["data"], path
        assert theirs.client.get(path).json()["data"] == [], path
    for chosen in ({"teacher": ids["model_id"]}, {"transfer_set": ids["dataset_id"]}):
        assert theirs.client.get("/v1/jobs", params=chosen).json()["data"] == []


@pytest.mark.owasp(1)
def test_what_another_one_has_cannot_be_named_in_a_body(theirs: House, ids: dict[str, str]) -> None:
    def refusals(named: dict[str, str]) -> list[str]:
        spec = {"teacher": named["model_id"], "student": STUDENT, "transfer_set": named["dataset_id"]}
        bodies = {
            "/v1/jobs": spec,
            "/v1/models": {"file": named["file_id"], "architecture": TEACHER},
            "/v1/datasets": {"file": named["file_id"]},
        }
        answers = [theirs.client.post(path, json=body) for path, body in bodies.items()]
        answers.append(theirs.client.post("/v1/models", json={"job": named["job_id"]}))
        assert [answer.status_code for answer in answers] == [422] * 4, [answer.text for answer in answers]
        told = []
        for answer in answers:
            text = answer.text.replace(answer.json()["request_id"], "")
            for name, value in named.items():
                text = text.replace(value, name)
            told.append(text)
        return told

    assert refusals(ids) == refusals(absent(ids))


def test_bytes_of_another_one_are_uploaded_again(mine: House, theirs: House) -> None:
    content = b"the same bytes"
    sha256 = hashlib.sha256(content).hexdigest()
    mine.upload(content)
    headers = {
        "Upload-Length": str(len(content)),
        "Upload-Metadata": f"sha256 {b64encode(sha256.encode()).decode()}",
        "Tus-Resumable": "1.0.0",
    }
    whole, begun = (one.client.post("/v1/uploads", headers=headers) for one in (mine, theirs))
    assert (whole.headers["upload-offset"], begun.headers["upload-offset"]) == (str(len(content)), "0")
    assert mine.client.get("/v1/uploads", params={"sha256": sha256}).json()["data"] == []
    assert len(theirs.client.get("/v1/uploads", params={"sha256": sha256}).json()["data"]) == 1


def test_idempotency_keys_are_ones_own(mine: House, theirs: House) -> None:
    headers = {"Idempotency-Key": "the same"}
    jobs = []
    for one in (mine, theirs):
        spec = one.ready()
        answers = [one.client.post("/v1/jobs", json=spec, headers=headers) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert "idempotency-replayed" not in answers[0].headers
        assert answers[0].json()["id"] == answers[1].json()["id"]
        jobs.append(answers[0].json()["id"])
    assert jobs[0] != jobs[1]


def test_of_a_workers_jobs_one_sees_ones_own(admin: House, mine: House, theirs: House) -> None:
    job = mine.submit()["id"]

    async def work(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await workers.beat(session, Worker(id="wrk_1", name="one@host", devices=["cpu"], slots=1))
            assert await leases.claim(session, "one@host/7", 30)

    mine.work(work)
    assert admin.client.post("/v1/workers/wrk_1/drain").status_code == 202
    seen = [one.client.get("/v1/workers").json()["data"][0] for one in (admin, mine, theirs)]
    assert [one["jobs"] for one in seen] == [[job], [job], []]
    assert {one["state"] for one in seen} == {"draining"}


@pytest.mark.owasp(3)
def test_what_is_not_ones_own_to_set_is_refused(house: House, admin: House) -> None:
    """Walks the OpenAPI document: every operation that takes a JSON body, with its examples and more than those."""
    foreign = {"tenant_id": "tnt_default", "state": "succeeded", "attempt": 7, "version": 7, "id": "x", "created_at": 0}
    tried = 0
    for operation in operations(admin.client.get("/openapi.json").json()):
        for sent in operation.requests():
            if "json" in sent:
                answer = admin.client.request(**{**sent, "json": {**sent["json"], **foreign}}).json()
                refused = {one["pointer"] for one in answer["errors"]}
                assert {f"/{field}" for field in foreign} == refused, (operation.id, answer)
                assert answer.get("status", 422) == 422  # /v1/jobs/validate answers well that it is not
                tried += 1
    assert tried >= 12
