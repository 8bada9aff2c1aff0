"""Pins and the dry run over HTTP; what is removed is in tests/worker/test_retention.py."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from tests.api.conftest import TEACHER, House
from tests.api.keys import bearing, first_key, make_key, open_account


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What differs between databases is in tests/worker/test_retention.py."""
    return sqlite_url


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"keep_jobs_seconds": 0.001, "keep_unused_seconds": 0.001, "orphan_seconds": 0.001}
    )


def due(house: House) -> dict[str, tuple[int, int, list[str]]]:
    answer = house.client.get("/v1/retention")
    assert answer.status_code == 200, answer.text
    return {found["kind"]: (found["count"], found["bytes"], found["first"]) for found in answer.json()["removals"]}


def test_what_is_due_is_told_and_pins_are_left_out(house: House, tmp_path: Path) -> None:
    spec = house.ready()
    job = house.client.post("/v1/jobs", json=spec).json()["id"]
    assert due(house)["models"] == (0, 0, [])  # a job names it
    assert house.finish({"student": b"weights"}, tmp_path) == job
    spare = house.upload(b"spare").json()["id"]
    found = due(house)
    assert (found["jobs"], found["files"]) == ((1, 7, [job]), (1, 5, [spare]))
    for path in (f"/v1/jobs/{job}", f"/v1/files/{spare}"):
        assert house.client.patch(path, json={"pinned": True}).json()["pinned"]
    assert not any(count for count, _, _ in due(house).values())
    house.client.patch(f"/v1/files/{spare}", json={"pinned": False})
    assert due(house)["files"] == (1, 5, [spare])
    house.client.delete(f"/v1/files/{spare}")
    assert due(house)["orphans"] == (1, 5, [hashlib.sha256(b"spare").hexdigest()])


@pytest.mark.parametrize("kind", ["models", "datasets"])
def test_what_is_registered_is_pinned_by_its_version(house: House, kind: str) -> None:
    row = house.register(kind, **({"architecture": TEACHER} if kind == "models" else {}))
    path = f"/v1/{kind}/{row['id']}"
    assert due(house)[kind] == (1, 0, [row["id"]])
    changed = house.client.patch(path, json={"pinned": True}, headers={"If-Match": '"1"'}).json()
    assert (changed["pinned"], changed["name"], changed["version"]) == (True, row["name"], 2)
    assert house.client.patch(path, json={"pinned": False}, headers={"If-Match": '"1"'}).status_code == 412
    assert house.client.get(path).json() == changed
    assert due(house)[kind] == (0, 0, [])


def test_only_administrators_see_beyond_their_own(house: House) -> None:
    with bearing(house, first_key(house.settings)) as admin:
        key = make_key(admin, account=open_account(admin))["key"]
        mine = admin.upload(b"mine").json()["id"]
        with bearing(house, key) as other:
            theirs = other.upload(b"theirs").json()["id"]
            gone = other.upload(b"gone").json()["id"]
            other.client.delete(f"/v1/files/{gone}")
            assert due(other)["files"] == (1, 6, [theirs])
            assert "orphans" not in due(other)
        assert due(admin)["files"] == (2, 10, sorted([mine, theirs]))
        assert due(admin)["orphans"][:2] == (1, 4)


def test_a_teacher_in_use_is_a_409_with_the_jobs(house: House) -> None:
    spec: dict[str, Any] = house.ready()
    jobs = [house.client.post("/v1/jobs", json=spec).json()["id"] for _ in range(2)]
    for path in (f"/v1/models/{spec['teacher']}", f"/v1/datasets/{spec['transfer_set']}"):
        answer = house.client.delete(path)
        assert answer.status_code == 409
        assert sorted(problem["detail"] for problem in answer.json()["errors"]) == sorted(jobs)
        file = house.client.get(path).json()["file"]
        [user] = house.client.delete(f"/v1/files/{file}").json()["errors"]
        assert user["detail"] == path.rpartition("/")[2]
