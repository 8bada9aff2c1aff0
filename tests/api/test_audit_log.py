"""The audit log: each change has its row, what failed or only looked has none."""

from collections.abc import Iterator

import pytest

from app.samples import service as samples
from tests.api.conftest import House
from tests.api.keys import bearing, first_key, make_key
from tests.openapi import operations


@pytest.fixture
def admin(house: House) -> Iterator[House]:
    with bearing(house, first_key(house.settings)) as seen:
        yield seen


def entries(house: House, **chosen: str) -> list[dict[str, object]]:
    return list(house.client.get("/v1/audit_log", params={"limit": "200", **chosen}).json()["data"])


def test_the_first_key_is_in_the_log(admin: House) -> None:
    [entry] = entries(admin)
    [key] = admin.client.get("/v1/api_keys").json()["data"]
    assert (entry["operation"], entry["key"], entry["subjects"]) == ("bootstrap", None, [key["id"]])


def test_a_change_is_noted_with_who_asked_and_what_came_of_it(house: House, admin: House) -> None:
    made = make_key(admin)
    with bearing(house, made["key"]) as mine:
        job = mine.submit()
        answer = mine.client.post(f"/v1/jobs/{job['id']}/cancel", headers={"X-Request-ID": "mine"})
        mine.client.get(f"/v1/jobs/{job['id']}")
        assert mine.client.post("/v1/jobs", json={}).status_code == 422
        assert mine.client.delete("/v1/jobs/job_1").status_code == 404
    cancelled, submitted, *_ = entries(admin, key=made["id"])
    assert (cancelled["operation"], cancelled["subjects"]) == ("cancel_job", [job["id"]])
    assert cancelled["request_id"] == answer.headers["x-request-id"] == "mine"
    assert (submitted["operation"], submitted["subjects"]) == ("create_job", [job["id"]])
    assert [one["operation"] for one in entries(admin, operation="cancel_job")] == ["cancel_job"]
    assert entries(admin, key=made["id"], created_after="2999-01-01T00:00:00Z") == []
    assert entries(admin, account="tnt_none") == []
    first = admin.client.get("/v1/audit_log", params={"limit": 1}).json()
    rest = admin.client.get("/v1/audit_log", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [first["data"][0]["id"], rest["data"][0]["id"]] == [one["id"] for one in entries(admin)[:2]]


def test_every_operation_that_changes_something_is_noted(house: House, admin: House) -> None:
    """Runs the OpenAPI document's examples, with a key of its own as the sample of keys."""
    document = house.client.get("/openapi.json").json()
    spare = make_key(admin)["id"]
    ids = {"key_id": spare}
    quiet = {"validate_job"}  # changes nothing
    unsuited = {"drain_worker", "undrain_worker", "retry_job"}  # no worker is here, and no job that failed
    noted, expected = set(), set()
    for operation in sorted(operations(document), key=lambda one: one.id.startswith(("delete_", "revoke_"))):
        if operation.method not in {"GET", "OPTIONS"} and operation.id not in unsuited:
            answers = [admin.client.request(**sent) for sent in operation.requests(ids)]
            assert answers[0].is_success, (operation.id, answers[0].text)
            expected.add(operation.id)
    noted = {str(one["operation"]) for one in entries(admin)}
    assert noted - {"bootstrap"} == expected - quiet
    assert entries(admin, operation="delete_file")[0]["subjects"] == [samples.SPARE_FILE]
