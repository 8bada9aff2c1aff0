"""Limits and what is used: `client.usage()`, `client.accounts.limit()`, and their commands."""

import json

import pytest
from typer.testing import CliRunner

import stillhouse
from app.contract.limits import Limits
from stillhouse import Stillhouse
from stillhouse.cli import app

USED = {"stored_bytes": 5000, "unfinished_uploads": 0, "queued_jobs": 2, "running_jobs": 1, "webhooks": 0}
USAGE = {
    "account": "tnt_1", "used": USED,
    "limits": {**Limits().model_dump(), "stored_bytes": 10**10, "queued_jobs": 1000, "runtime_seconds": 0.5},
}  # fmt: skip
ACCOUNT = {"id": "tnt_1", "name": "lab", "limits": {"queued_jobs": 7}, "created_at": "2026-01-01T00:00:00Z"}


@pytest.fixture
def run(script, answers, monkeypatch):
    monkeypatch.setenv("STILLHOUSE_URL", script.url)
    script.on("GET", "/v1/usage", answers.json(USAGE))
    script.on("PATCH", "/v1/accounts/tnt_1", answers.json(ACCOUNT))
    return lambda *words: CliRunner().invoke(app, list(words))


def test_usage_is_a_table(run, script):
    rows = {row.split()[0]: row.split()[1:] for row in run("usage").stdout.splitlines()}
    assert rows["LIMIT"] == ["USED", "ALLOWED"]
    assert rows["stored_bytes"] == ["5000", "10000000000"]
    assert rows["queued_jobs"] == ["2", "1000"]
    assert rows["running_jobs"] == ["1", "none"]
    assert rows["runtime_seconds"] == ["-", "0.5"]
    assert script.asked[-1].query == ""
    assert json.loads(run("usage", "--account", "tnt_1", "--json").stdout) == USAGE
    assert script.asked[-1].query == "account=tnt_1"


def test_limits_are_set_by_name(run, script):
    done = run(
        "accounts", "limits", "tnt_1", "queued_jobs=7", "runtime_seconds=1.5", "epochs=default", "stored_bytes=0"
    )
    assert done.exit_code == 0, done.output
    asked = [json.loads(one.body) for one in script.asked if one.method == "PATCH"]
    assert asked == [{"limits": {"queued_jobs": 7, "runtime_seconds": 1.5, "epochs": None, "stored_bytes": 0}}]
    assert "stored_bytes" in done.stdout
    assert run("accounts", "limits", "tnt_1").exit_code == 0
    assert len([one for one in script.asked if one.method == "PATCH"]) == 1


@pytest.mark.parametrize("wrong", ["queued_jobs", "queued_jobs=many", "jobs=3", "queued_jobs="])
def test_limits_that_are_none_are_not_sent(run, script, wrong):
    done = run("accounts", "limits", "tnt_1", wrong)
    assert done.exit_code == 2
    assert "limit" in done.output.lower()
    assert script.asked == []


def test_a_limit_is_an_exception_of_its_own(script, answers):
    refusal = answers.problem(409, "quota_exceeded", "queued_jobs: the account has 3 of the 3 it may have")
    script.on("POST", "/v1/jobs", refusal)
    with Stillhouse(script.url, retries=2) as client, pytest.raises(stillhouse.QuotaExceeded, match="queued_jobs"):
        client.jobs.create(**answers.SPEC)
    assert len(script.asked) == 1
