"""Webhooks at the API: made, shown, changed, and which URLs are refused. tests/worker/test_webhooks.py sends."""

import base64
from typing import Any

import pytest

from app.db.session import Database
from app.db.tables import Webhook
from app.store import Store
from tests.api.conftest import House
from tests.receivers import name_servers

URL = "https://[2000::1]/hook"
"""An address of the public internet that nobody was given. Nothing is sent here, and no name looked up."""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def make(house: House, url: str = URL, **more: Any) -> dict[str, Any]:
    answer = house.client.post("/v1/webhooks", json={"url": url, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def refusal(house: House, **body: Any) -> dict[str, str]:
    answer = house.client.post("/v1/webhooks", json=body)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    return dict(error)


def test_a_webhook_is_told_of_every_end_and_shows_its_secret_once(house: House) -> None:
    answer = house.client.post("/v1/webhooks", json={"url": URL, "name": "lab"})
    made = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert made["events"] == ["job.succeeded", "job.failed", "job.cancelled", "job.expired"]
    assert (made["enabled"], made["disabled_by"], made["failing_since"]) == (True, None, None)
    assert len(base64.b64decode(made["secret"].removeprefix("whsec_"))) == 32
    shown = house.client.get(f"/v1/webhooks/{made['id']}")
    assert shown.json() == {key: value for key, value in made.items() if key != "secret"}
    job = house.submit()
    house.client.post(f"/v1/jobs/{job['id']}/cancel")
    for path in ("", f"/{made['id']}", f"/{made['id']}/deliveries"):
        assert made["secret"].removeprefix("whsec_") not in house.client.get(f"/v1/webhooks{path}").text


def test_what_happens_to_a_job_waits_for_those_who_want_to_know(house: House) -> None:
    ends, starts, off = make(house), make(house, events=["job.started"]), make(house)
    house.client.patch(f"/v1/webhooks/{off['id']}", json={"enabled": False})
    job = house.submit()
    assert house.client.post(f"/v1/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    [delivery] = house.client.get(f"/v1/webhooks/{ends['id']}/deliveries").json()["data"]
    assert (delivery["type"], delivery["state"], delivery["attempts"]) == ("job.cancelled", "pending", [])
    assert delivery["payload"]["type"] == "job.cancelled"
    assert delivery["payload"]["data"] == {
        "id": job["id"], "name": None, "state": "cancelled", "attempt": 0, "stop_reason": None, "failure_code": None,
        "links": {"job": f"/v1/jobs/{job['id']}"},
    }  # fmt: skip
    for state, count in {"pending": 1, "failed": 0}.items():
        found = house.client.get(f"/v1/webhooks/{ends['id']}/deliveries", params={"state": state}).json()
        assert len(found["data"]) == count
    one = f"/v1/webhooks/{ends['id']}/deliveries/{delivery['id']}"
    assert house.client.get(one).json() == delivery
    for quiet in (starts, off):
        assert house.client.get(f"/v1/webhooks/{quiet['id']}/deliveries").json()["data"] == []
        assert house.client.get(f"/v1/webhooks/{quiet['id']}/deliveries/{delivery['id']}").status_code == 404
    assert house.client.delete(f"/v1/webhooks/{ends['id']}").status_code == 204
    assert house.client.get(one).status_code == 404


def test_both_ends_of_one_event_have_its_id(house: House) -> None:
    made = [make(house) for _ in range(2)]
    job = house.submit()
    house.client.post(f"/v1/jobs/{job['id']}/cancel")
    told = [house.client.get(f"/v1/webhooks/{one['id']}/deliveries").json()["data"] for one in made]
    assert told[0][0]["event"] == told[1][0]["event"]
    assert told[0][0]["event"].startswith("evt_")


def test_lists_come_in_pages(house: House) -> None:
    made = [make(house)["id"] for _ in range(3)]
    first = house.client.get("/v1/webhooks", params={"limit": 2}).json()
    rest = house.client.get("/v1/webhooks", params={"cursor": first["next_cursor"]}).json()
    assert [one["id"] for one in (*first["data"], *rest["data"])] == made[::-1]


REFUSED = {
    "http://receiver.invalid/": "https",
    "https://127.0.0.1:9000/": "not on the public internet",
    "https://169.254.169.254/latest/meta-data/": "not on the public internet",
    "https://[::ffff:7f00:1]/": "not on the public internet",
    "https://[64:ff9b::a9fe:a9fe]/": "not on the public internet",
    "https://[2002:7f00:1::]/": "not on the public internet",
    "https://[fd00:ec2::254]/": "not on the public internet",
    "https://2130706433/": "not on the public internet",
    "https://0x7f.1/": "not on the public internet",
    "https://localhost/": "not on the public internet",
    "https://mixed.example/": "not on the public internet",
    "https://user:secret@receiver.invalid/": "password",
    "https://receiver.invalid:25/": "port",
    "https://receiver.invalid/#part": "#",
    "ftp://receiver.invalid/": "scheme",
    "nonsense": "URL",
    "https://receiver.invalid/" + "x" * 2000: "2000",
}


def test_a_url_that_may_not_be_sent_to_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    name_servers(monkeypatch, {"mixed.example": [["2000::1", "10.0.0.7"]] * 2})
    made = make(house)
    for url, why in REFUSED.items():
        error = refusal(house, url=url)
        assert error["pointer"] == "/url", url
        assert why in error["detail"], url
        changed = house.client.patch(f"/v1/webhooks/{made['id']}", json={"url": url})
        assert (changed.status_code, changed.json()["errors"][0]["pointer"]) == (422, "/url"), url
    assert house.client.get(f"/v1/webhooks/{made['id']}").json()["url"] == URL


def test_a_name_that_is_not_found_yet_may_be_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    name_servers(monkeypatch, {"soon.example": []})
    make(house, "https://soon.example/")


def test_bad_fields_are_named(house: House) -> None:
    assert refusal(house, url=URL, events=["job.exploded"])["pointer"] == "/events/0"
    assert refusal(house, url=URL, events=[])["pointer"] == "/events"
    assert refusal(house, url=URL, secret="mine")["pointer"] == "/secret"
    assert refusal(house)["pointer"] == "/url"


def test_a_change_honours_if_match(house: House) -> None:
    path = f"/v1/webhooks/{make(house)['id']}"
    tag = house.client.get(path).headers["etag"]
    changed = house.client.patch(path, json={"enabled": False, "events": ["job.paused"]}, headers={"If-Match": tag})
    assert changed.json()["enabled"] is False
    assert (changed.json()["disabled_by"], changed.json()["events"]) == ("user", ["job.paused"])
    assert house.client.patch(path, json={"enabled": True}, headers={"If-Match": tag}).status_code == 412
    assert house.client.post(f"{path}/test").status_code == 409
    enabled = house.client.patch(path, json={"enabled": True}).json()
    assert (enabled["enabled"], enabled["disabled_by"]) == (True, None)


def test_a_test_is_sent_once_at_a_time_and_can_be_replayed(house: House) -> None:
    path = f"/v1/webhooks/{make(house)['id']}"
    sent = [house.client.post(f"{path}/test") for _ in range(2)]
    assert [answer.status_code for answer in sent] == [202, 202]
    assert sent[0].json()["id"] == sent[1].json()["id"]
    assert sent[0].json()["type"] == "webhook.test"
    again = house.client.post(f"{path}/deliveries/{sent[0].json()['id']}/replay")
    assert (again.status_code, again.json()) == (202, sent[0].json())
    assert house.client.post(f"{path}/deliveries/dlv_1/replay").status_code == 404


def test_a_new_secret_replaces_the_old_one(house: House) -> None:
    made = make(house)
    path = f"/v1/webhooks/{made['id']}/rotate"
    seen = [made["secret"], house.client.post(path, json={"grace_seconds": 60}).json()["secret"]]
    assert old_secret(house, made["id"]) == seen[0]
    seen.append(house.client.post(path).json()["secret"])
    assert len(set(seen)) == 3
    assert old_secret(house, made["id"]) is None


def old_secret(house: House, webhook_id: str) -> str | None:
    async def look(database: Database, _: Store) -> str | None:
        async with database.reading() as session:
            return (await session.get_one(Webhook, webhook_id)).old_secret

    return house.work(look)


def test_metrics_tell_of_deliveries(house: House) -> None:
    path = f"/v1/webhooks/{make(house)['id']}"
    house.client.post(f"{path}/test")
    house.client.patch(path, json={"enabled": False})
    told = house.client.get("/metrics").text
    assert 'stillhouse_webhook_deliveries{state="pending"} 1.0' in told
    assert 'stillhouse_webhooks_disabled{by="user"} 1.0' in told
