"""API keys in the client: sent to the service alone, shown nowhere; and the commands that make them."""

import hashlib
import json
import logging
import subprocess
import sys
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

import stillhouse
from stillhouse import Stillhouse
from stillhouse.cli import app

SECRET = "5ec2e7" * 10 + "0123"
KEY = f"sh_{'a' * 32}_{SECRET}"
KEY_ID = "key_" + "a" * 32
PAGE = {"data": [], "has_more": False, "next_cursor": None}
SHOWN = {
    "id": KEY_ID, "account": "tnt_default", "name": "nightly", "scopes": ["read", "submit"],
    "created_at": "2026-01-01T00:00:00Z", "expires_at": None, "revoked_at": None, "last_used_at": None,
}  # fmt: skip


@pytest.fixture
def keyed(script):
    with Stillhouse(script.url, api_key=KEY, retries=1, progress=False) as client:
        yield client


def test_every_request_carries_the_key(script, answers, monkeypatch):
    script.on("GET", "/v1/workers", answers.json(PAGE))
    monkeypatch.setenv("STILLHOUSE_API_KEY", f"{KEY}\n")  # as a file ends
    with Stillhouse(script.url) as client:
        client.workers.list()
    with Stillhouse(script.url, api_key=SecretStr("sh_mine")) as client:
        client.workers.list()
    monkeypatch.delenv("STILLHOUSE_API_KEY")
    with Stillhouse(script.url) as client:
        client.workers.list()
    assert [asked.headers.get("Authorization") for asked in script.asked] == [f"Bearer {KEY}", "Bearer sh_mine", None]


@pytest.mark.parametrize("elsewhere", ["http://localhost", "http://127.0.0.1"])  # another name; the service's own
def test_a_redirect_does_not_get_the_key(keyed, script, answers, tmp_path, elsewhere):
    port = script.url.rpartition(":")[2]
    artifact = {
        "id": "art_1", "job": answers.JOB, "kind": "student", "name": "s", "size": 5, "media_type": "x/y",
        "sha256": hashlib.sha256(b"hello").hexdigest(), "created_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("succeeded")))
    script.on("GET", f"/v1/jobs/{answers.JOB}/artifacts", answers.json({**PAGE, "data": [artifact]}))
    there = {"Location": f"{elsewhere}:{port}/bucket/signed?signature=1"}
    script.on("GET", "/v1/artifacts/art_1", answers.Answer(307, b"", there))
    script.on("GET", "/bucket/signed", answers.Answer(200, b"hello"))
    keyed.jobs.get(answers.JOB).student.download(tmp_path / "s")
    ours, signed = script.asked[-2:]
    assert (ours.headers["Authorization"], signed.path) == (f"Bearer {KEY}", "/bucket/signed")
    assert SECRET not in str(signed.headers)


def test_an_answer_that_points_elsewhere_is_not_followed(keyed, script, answers):
    script.on("GET", "/v1/workers", answers.Answer(307, b"", {"Location": "http://localhost:1/v1/workers"}))
    with pytest.raises(stillhouse.ServiceError):
        keyed.workers.list()
    assert len(script.asked) == 1


def test_the_key_is_shown_nowhere(script, answers, caplog):
    caplog.set_level(logging.DEBUG)
    script.on("GET", "/v1/workers", answers.problem(401, "unauthorized", "no"))
    script.on("POST", "/v1/api_keys", answers.json({**SHOWN, "key": KEY}, 201))
    said = []
    with Stillhouse(script.url, api_key=KEY, retries=1) as client:
        made = client.keys.create("nightly")
        said += [repr(client), repr(vars(client)), repr(vars(client._transport)), repr(made), str(made)]
        assert made.key == KEY
        with pytest.raises(stillhouse.Unauthorized) as refused:
            client.workers.list()
        said += [str(refused.value), _locals(refused.value)]
    with pytest.raises(stillhouse.StillhouseError, match="characters") as refused:
        Stillhouse(script.url, api_key=f"{KEY}\nX-Other: header")
    said += [str(refused.value), "".join(traceback.format_exception(refused.value))]
    assert SECRET not in "".join([*said, caplog.text])


def _locals(error):
    """Return a traceback as tools print it that show variables, without this test's own frame."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(str(frame.locals) for frame in whole.stack if frame.filename != __file__)


@pytest.fixture
def run(script, monkeypatch):
    """Run a command against the scripted server."""
    monkeypatch.setenv("STILLHOUSE_URL", script.url)
    monkeypatch.setenv("STILLHOUSE_API_KEY", KEY)

    def run(*words, group="keys"):
        result = CliRunner().invoke(app, [group, *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_a_new_key_is_printed_alone(run, script, answers):
    script.on("POST", "/v1/api_keys", answers.json({**SHOWN, "key": KEY}, 201))
    script.on("POST", f"/v1/api_keys/{KEY_ID}/rotate", answers.json({**SHOWN, "key": KEY}, 201))
    assert run("create", "--name", "nightly", "--scope", "read", "--account", "tnt_1") == f"{KEY}\n"
    assert json.loads(script.asked[-1].body) == {"name": "nightly", "scopes": ["read"], "account": "tnt_1"}
    assert run("rotate", KEY_ID, "--grace", "60") == f"{KEY}\n"
    assert json.loads(script.asked[-1].body) == {"grace_seconds": 60}


def test_keys_are_a_table(run, script, answers):
    over = {"revoked_at": "2026-01-02T00:00:00Z"}
    script.on("GET", "/v1/api_keys", answers.json({**PAGE, "data": [SHOWN, {**SHOWN, **over}]}))
    heads, *rows = run("list", "--account", "tnt_default").splitlines()
    assert heads.split() == ["KEY", "ACCOUNT", "SCOPES", "STATE", "LAST", "USED", "NAME"]
    assert [row.split()[3] for row in rows] == ["good", "revoked"]
    assert script.asked[-1].query == "account=tnt_default"
    script.on("DELETE", f"/v1/api_keys/{KEY_ID}", answers.Answer(204))
    assert run("revoke", KEY_ID) == f"{KEY_ID} is revoked\n"


def test_a_key_may_be_made_for_some_days(run, script, answers):
    script.on("POST", "/v1/api_keys", answers.json({**SHOWN, "key": KEY}, 201))
    run("create", "--name", "guest", "--days", "30")
    left = datetime.fromisoformat(json.loads(script.asked[-1].body)["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


def test_accounts_and_changes_are_tables(run, script, answers):
    account = {"id": "tnt_1", "name": "speech lab", "created_at": "2026-01-01T00:00:00Z"}
    script.on("POST", "/v1/accounts", answers.json(account, 201))
    script.on("GET", "/v1/accounts", answers.json({**PAGE, "data": [account]}))
    assert run("create", "speech lab", group="accounts") == "tnt_1\n"
    assert run("list", group="accounts").splitlines()[1].split() == ["tnt_1", "2026-01-01", "00:00", "speech", "lab"]
    change = {
        "id": "aud_1", "account": "tnt_1", "key": None, "operation": "bootstrap", "subjects": [KEY_ID],
        "request_id": "", "created_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    script.on("GET", "/v1/audit_log", answers.json({"data": [change] * 3, "has_more": True, "next_cursor": "next"}))
    rows = run("--account", "tnt_1", "--limit", "4", group="audit-log").splitlines()
    assert (len(rows), rows[1].split()) == (5, ["2026-01-01", "00:00:00", "tnt_1", "-", "bootstrap", KEY_ID])
    assert script.asked[-1].query == "account=tnt_1&cursor=next"


def test_the_first_key_lets_a_service_serve_others(tmp_path):
    """`--host 0.0.0.0` is refused before there is a key; then it is served, and every request needs one."""
    from stillhouse.embedded import EmbeddedStack, NoKeys

    data = tmp_path / "data"
    with pytest.raises(NoKeys, match="stillhouse keys bootstrap"), EmbeddedStack(data, host="0.0.0.0"):
        pass
    command = [sys.executable, "-m", "stillhouse.cli", "keys", "bootstrap", "--data", str(data)]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (made.stdout.count("\n"), made.stdout[:3]) == (1, "sh_")
    again = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (again.returncode, again.stdout) == (1, "")
    with EmbeddedStack(data, host="0.0.0.0") as stack:
        with Stillhouse(stack.url, api_key=made.stdout) as client:
            lab = client.accounts.create("lab")
            theirs = client.keys.create("theirs", account=lab, scopes=["read"])
            assert {key.name for key in client.keys.list()} == {"first administrator", "theirs"}
            assert [entry.operation for entry in client.audit_log.list(account="tnt_default")] == [
                "create_api_key", "create_account", "bootstrap",
            ]  # fmt: skip
            assert client.accounts.rename(lab, "laboratory").name == "laboratory"
        with Stillhouse(stack.url, api_key=theirs.key) as client, pytest.raises(stillhouse.Forbidden):
            client.keys.get(theirs)
        with Stillhouse(stack.url) as client, pytest.raises(stillhouse.Unauthorized):
            client.workers.list()
