"""Webhooks in the client, and the commands of the same name."""

import json

import pytest
from typer.testing import CliRunner

import stillhouse
from stillhouse.cli import app

ID, SENT = "whk_" + "a" * 32, "dlv_" + "b" * 32
PATH = f"/v1/webhooks/{ID}"
SECRET = "whsec_c2VjcmV0"
SHOWN = {
    "id": ID, "name": "lab", "url": "https://lab.example/hook", "events": ["job.failed", "job.paused"],
    "enabled": True, "disabled_by": None, "failing_since": None, "version": 1, "created_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
TRY = {"time": "2026-01-01T00:00:00Z", "seconds": 0.2, "status": None, "error": "timed_out"}
TOLD = {"type": "job.revived", "timestamp": "2026-01-01T00:00:00Z", "data": {"of": "a newer service"}}
DELIVERY = {
    "id": SENT, "webhook": ID, "event": "evt_1", "type": "job.failed", "payload": TOLD, "state": "pending",
    "attempts": [TRY, {**TRY, "status": 500, "error": "refused"}], "next_attempt_at": "2026-01-01T00:00:05Z",
    "created_at": "2026-01-01T00:00:00Z",
}  # fmt: skip
PAGE = {"has_more": False, "next_cursor": None}


@pytest.fixture
def run(script, monkeypatch):
    monkeypatch.setenv("STILLHOUSE_URL", script.url)

    def run(*words):
        result = CliRunner().invoke(app, ["webhooks", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_the_client_makes_changes_and_looks(client, script, answers):
    script.on("POST", "/v1/webhooks", answers.json({**SHOWN, "secret": SECRET}, 201))
    made = client.webhooks.create("https://lab.example/hook", events=["job.failed"])
    assert json.loads(script.asked[-1].body) == {"url": "https://lab.example/hook", "events": ["job.failed"]}
    assert made.secret == SECRET
    assert SECRET not in repr(made)
    script.on("PATCH", PATH, answers.json({**SHOWN, "enabled": False, "disabled_by": "user"}))
    assert client.webhooks.update(made, enabled=False).disabled_by == "user"
    assert json.loads(script.asked[-1].body) == {"enabled": False}
    script.on("GET", "/v1/webhooks", answers.json({"data": [SHOWN], **PAGE}))
    script.on("GET", PATH, answers.json(SHOWN))
    assert list(client.webhooks.list()) == [client.webhooks.get(made)]
    script.on("POST", f"{PATH}/test", answers.json(DELIVERY, 202))
    script.on("GET", f"{PATH}/deliveries/{SENT}", answers.json({**DELIVERY, "state": "succeeded"}))
    assert client.webhooks.delivery(client.webhooks.test(made)).state == "succeeded"
    script.on("GET", f"{PATH}/deliveries", answers.json({"data": [DELIVERY], **PAGE}))
    script.on("POST", f"{PATH}/deliveries/{SENT}/replay", answers.problem(409, "conflict", "disabled"))
    [delivery] = client.webhooks.deliveries(ID)
    assert delivery.payload.data == {"of": "a newer service"}
    with pytest.raises(stillhouse.Conflict):
        client.webhooks.replay(made, delivery)
    script.on("DELETE", PATH, answers.Answer(204))
    client.webhooks.delete(made)


def test_a_secret_is_printed_once_and_alone(run, script, answers):
    script.on("POST", "/v1/webhooks", answers.json({**SHOWN, "secret": SECRET}, 201))
    script.on("POST", f"{PATH}/rotate", answers.json({**SHOWN, "secret": SECRET}))
    assert run("create", "https://lab.example/hook", "--event", "job.failed", "--name", "lab") == f"{ID}\n{SECRET}\n"
    body = json.loads(script.asked[-1].body)
    assert body == {"url": "https://lab.example/hook", "events": ["job.failed"], "name": "lab"}
    assert run("rotate", ID, "--grace", "60") == f"{ID}\n{SECRET}\n"
    assert json.loads(script.asked[-1].body) == {"grace_seconds": 60}


def test_webhooks_and_deliveries_are_tables(run, script, answers):
    failing = {**SHOWN, "failing_since": "2026-01-01T00:00:00Z"}
    off = {**SHOWN, "enabled": False, "disabled_by": "gone"}
    script.on("GET", "/v1/webhooks", answers.json({"data": [SHOWN, failing, off], **PAGE}))
    heads, *rows = run("list").splitlines()
    assert heads.split() == ["WEBHOOK", "STATE", "EVENTS", "NAME", "URL"]
    assert [row.split()[1] for row in rows] == ["enabled", "failing", "disabled"]
    assert rows[0].split()[2:] == ["failed,paused", "lab", "https://lab.example/hook"]
    script.on("GET", f"{PATH}/deliveries", answers.json({"data": [DELIVERY], **PAGE}))
    [_, row] = run("deliveries", ID).splitlines()
    assert row.split() == [SENT, "2026-01-01", "00:00:00", "job.failed", "pending", "2", "500"]
    assert json.loads(run("deliveries", ID, "--state", "pending", "--json"))[0]["id"] == SENT
    assert script.asked[-1].query == "state=pending"


def test_the_other_commands_say_what_they_did(run, script, answers):
    script.on("POST", f"{PATH}/test", answers.json(DELIVERY, 202))
    script.on("POST", f"{PATH}/deliveries/{SENT}/replay", answers.json(DELIVERY, 202))
    script.on("PATCH", PATH, answers.json({**SHOWN, "enabled": False, "disabled_by": "user"}), answers.json(SHOWN))
    script.on("DELETE", PATH, answers.Answer(204))
    assert run("test", ID) == f"{SENT} is on its way\n"
    assert run("replay", ID, SENT) == f"{SENT} is pending\n"
    assert run("disable", ID) == f"{ID} is disabled (user)\n"
    assert run("enable", ID) == f"{ID} is enabled\n"
    assert run("delete", ID) == f"{ID} is deleted\n"
