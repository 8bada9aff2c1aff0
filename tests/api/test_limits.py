"""Every limit, gone over: this file walks the settings, and docs/limits.md is the same table."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.contract.limits import Limits, OwnLimits
from app.db.session import Database
from app.jobs import leases
from app.limits.turns import Turns
from app.settings import Settings
from app.store import Store
from tests.api.conftest import House, running
from tests.api.keys import bearing, first_key, make_key, open_account

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
SETTINGS = [name for name in Settings.model_fields if name.startswith("limit_")]
TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What meets the database's dialect is in test_quota_races."""
    return sqlite_url


@contextmanager
def limited(settings: Settings, **limits: float) -> Iterator[House]:
    changed = settings.model_copy(update={f"limit_{name}": most for name, most in limits.items()})
    with running(changed) as url, httpx2.Client(base_url=url, timeout=30) as client:
        yield House(client, changed)


def declare(house: House, size: int, **metadata: str) -> httpx2.Response:
    told = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
    headers = {**TUS, "Upload-Length": str(size), **({"Upload-Metadata": told} if told else {})}
    return house.client.post("/v1/uploads", headers=headers)


def send(house: House, upload: str, content: bytes) -> httpx2.Response:
    headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    return house.client.patch(f"/v1/uploads/{upload}", content=content, headers=headers)


def submit(house: House, **changes: Any) -> httpx2.Response:
    return house.client.post("/v1/jobs", json={**house.ready(), **changes})


def used(house: House, name: str) -> int:
    return int(house.client.get("/v1/usage").json()["used"][name])


def refused(answer: httpx2.Response, status: int, code: str, words: str) -> str:
    """Check a refusal; return it as docs/limits.md names it."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code), told
    assert words in told["detail"] or words in [one["pointer"] for one in told["errors"]], told
    return f"{status} `{code}`"


# One case for each setting: goes over it on a service of its own, and returns the answer as the table has it.


def stored_bytes(settings: Settings) -> str:
    with limited(settings, stored_bytes=1000) as house:
        assert house.upload(b"x" * 600).status_code == 201
        own = hashlib.sha256(b"x" * 600).hexdigest()
        assert declare(house, 600, sha256=own).headers["upload-offset"] == "600"  # bytes that are one's own already
        refused(house.upload(b"y" * 401), 409, "quota_exceeded", "stored_bytes: the account has 600 of the 1000")
        assert used(house, "stored_bytes") == 600
        return refused(declare(house, 401), 409, "quota_exceeded", "stored_bytes: the account has 600 of the 1000")


def unfinished_uploads(settings: Settings) -> str:
    with limited(settings, unfinished_uploads=2) as house:
        ids = [declare(house, 9).json()["id"] for _ in range(2)]
        answer = refused(declare(house, 9), 409, "quota_exceeded", "unfinished_uploads: the account has 2 of the 2")
        assert send(house, ids[0], b"123456789").status_code == 204
        assert house.client.delete(f"/v1/uploads/{ids[1]}", headers=TUS).status_code == 204
        assert used(house, "unfinished_uploads") == 0
        return answer


def upload_bytes(settings: Settings) -> str:
    with limited(settings, upload_bytes=1000) as house:
        refused(house.upload(b"x" * 1001), 413, "payload_too_large", "larger than the 1000 bytes")
        assert house.upload(b"x" * 1000).status_code == 201
        return refused(declare(house, 1001), 413, "payload_too_large", "larger than the 1000 bytes")


def queued_jobs(settings: Settings) -> str:
    with limited(settings, queued_jobs=2) as house:
        first = submit(house).json()["id"]
        assert submit(house).status_code == 201
        house.client.post(f"/v1/jobs/{first}/pause")  # is as good as queued
        answer = refused(submit(house), 409, "quota_exceeded", "queued_jobs: the account has 2 of the 2")
        house.client.post(f"/v1/jobs/{first}/cancel")
        assert submit(house).status_code == 201
        refused(house.client.post(f"/v1/jobs/{first}/retry"), 409, "quota_exceeded", "queued_jobs")
        refused(house.client.post(f"/v1/jobs/{first}/clone"), 409, "quota_exceeded", "queued_jobs")
        assert len(house.client.get("/v1/jobs").json()["data"]) == 3
        return answer


def running_jobs(settings: Settings) -> str:
    with limited(settings, running_jobs=1) as house:
        first, second = submit(house).json()["id"], submit(house).json()["id"]
        assert claim(house) == first
        assert claim(house) is None
        told = house.client.get(f"/v1/jobs/{second}").json()
        house.client.post(f"/v1/jobs/{first}/cancel")
        assert used(house, "running_jobs") == 1
        return f"the job waits, `blocked_by` is `{told['blocked_by']}`"


def claim(house: House) -> str | None:
    async def act(database: Database, _: Store) -> str | None:
        async with database.transaction() as session:
            lease = await leases.claim(session, "one@host/7", 30, Turns(house.settings.limit_running_jobs))
            return lease and lease.job_id

    return house.work(act)  # type: ignore[no-any-return]


def epochs(settings: Settings) -> str:
    with limited(settings, epochs=100) as house:
        stage = {"name": "first", "objective": [{"kind": "soft_target"}], "epochs": 41}
        spec = {"training": {"epochs": 60}, "stages": [stage], "control": False}
        told = house.client.post("/v1/jobs/validate", json={**house.ready(), **spec}).json()
        assert [one["pointer"] for one in told["errors"]] == ["/training/epochs"]
        refused(submit(house, training={"epochs": 51}, generations=2), 422, "invalid_spec", "/training/epochs")
        assert submit(house, training={"epochs": 50}, generations=2).status_code == 201
        return refused(submit(house, **spec), 422, "invalid_spec", "/training/epochs")


def devices(settings: Settings) -> str:
    with limited(settings, devices=2) as house:
        assert submit(house, devices=2).status_code == 201
        return refused(submit(house, devices=3), 422, "invalid_spec", "/devices")


def runtime_seconds(settings: Settings) -> str:
    with limited(settings, runtime_seconds=600) as house:
        assert submit(house).json()["spec"]["max_runtime"] == 600
        assert submit(house, max_runtime=5).json()["spec"]["max_runtime"] == 5
        refused(submit(house, generations=2), 422, "invalid_spec", "/generations")
        return refused(submit(house, max_runtime=601), 422, "invalid_spec", "/max_runtime")


def webhooks(settings: Settings) -> str:
    with limited(settings, webhooks=2) as house:
        url = {"url": "https://[2000::1]/"}
        made = [house.client.post("/v1/webhooks", json=url).json()["id"] for _ in range(2)]
        answer = refused(house.client.post("/v1/webhooks", json=url), 409, "quota_exceeded", "has 2 of the 2")
        house.client.delete(f"/v1/webhooks/{made[0]}")
        assert used(house, "webhooks") == 1
        return answer


def requests_per_minute(settings: Settings) -> str:
    with limited(settings, requests_per_minute=2) as house:  # one more every 30 s
        first, second, third = (house.client.get("/v1/jobs") for _ in range(3))
        assert (first.status_code, first.headers["RateLimit"]) == (200, '"requests";r=1;t=30')
        assert (second.status_code, second.headers["RateLimit-Policy"]) == (200, '"requests";q=2;w=60')
        assert third.headers["RateLimit"] == f'"requests";r=0;t={third.headers["Retry-After"]}'
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json"):
            assert house.client.get(path).status_code == 200
            assert "RateLimit" not in house.client.get(path).headers
        return refused(third, 429, "rate_limited", "more than 2 requests a minute")


def strangers_per_minute(settings: Settings) -> str:
    key = first_key(settings)
    with limited(settings, strangers_per_minute=2) as house:
        wrong = {"Authorization": f"Bearer {key[:-1]}x"}
        answers = [house.client.get("/v1/jobs", headers=headers) for headers in (wrong, {}, wrong, {})]
        assert [answer.status_code for answer in answers] == [401, 401, 429, 429]
        assert house.client.get("/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        return refused(answers[-1], 429, "rate_limited", "more than 2 requests a minute")


CASES: dict[str, Callable[[Settings], str]] = {
    f"limit_{case.__name__}": case
    for case in (
        stored_bytes,
        unfinished_uploads,
        upload_bytes,
        queued_jobs,
        running_jobs,
        epochs,
        devices,
        runtime_seconds,
        webhooks,
        requests_per_minute,
        strangers_per_minute,
    )
}


def documented() -> dict[str, tuple[str, str]]:
    """Return of each setting in the table: its default, and what goes beyond it gets."""
    rows = re.findall(r"^\| `STILLHOUSE_(LIMIT_\w+)` \| (\S+) \|.*\| (.*) \|$", PAGE, re.MULTILINE)
    return {name.lower(): (default, beyond) for name, default, beyond in rows}


def test_the_page_is_the_settings() -> None:
    assert list(documented()) == SETTINGS
    for name, (default, _) in documented().items():
        assert default == str(Settings.model_fields[name].default), name


def test_each_may_be_different_for_an_account() -> None:
    assert list(Limits.model_fields) == list(OwnLimits.model_fields)
    of_addresses = {"limit_strangers_per_minute"}
    assert {f"limit_{name}" for name in Limits.model_fields} == set(SETTINGS) - of_addresses


@pytest.mark.owasp(4)
@pytest.mark.parametrize("name", SETTINGS)
def test_beyond_each_limit_is_the_documented_answer(settings: Settings, name: str) -> None:
    answer = CASES[name](settings)
    assert documented()[name][1].startswith(answer)


def test_usage_is_ones_own_and_an_administrators_to_see(settings: Settings) -> None:
    with limited(settings) as house, bearing(house, first_key(settings)) as admin:
        account = open_account(admin)
        own = {"limits": {"stored_bytes": 1000, "epochs": 0, "queued_jobs": 5}}
        assert admin.client.patch(f"/v1/accounts/{account}", json=own).json()["limits"]["epochs"] == 0
        with bearing(house, make_key(admin, account=account)["key"]) as theirs:
            theirs.upload(b"x" * 10)
            found = theirs.client.get("/v1/usage").json()
            assert (found["account"], found["used"]["stored_bytes"]) == (account, 10)
            assert admin.client.get("/v1/usage", params={"account": account}).json() == found
            assert found["limits"]["epochs"] == 0
            refused(theirs.upload(b"y" * 991), 409, "quota_exceeded", "of the 1000")
            other = theirs.client.get("/v1/usage", params={"account": "tnt_default"})
            refused(other, 403, "forbidden", "admin")
            back = {"name": "lab", "limits": {"queued_jobs": None}}
            changed = admin.client.patch(f"/v1/accounts/{account}", json=back).json()
            assert (changed["name"], changed["limits"]["queued_jobs"]) == ("lab", None)
            assert changed["limits"]["stored_bytes"] == 1000
            limits = theirs.client.get("/v1/usage").json()["limits"]
            assert limits["queued_jobs"] == settings.limit_queued_jobs
        refused(admin.client.get("/v1/usage", params={"account": "tnt_0"}), 404, "not_found", "tnt_0")
        wrong = admin.client.patch(f"/v1/accounts/{account}", json={"limits": {"epochs": -1, "jobs": 1}})
        assert {one["pointer"] for one in wrong.json()["errors"]} == {"/limits/epochs", "/limits/jobs"}
