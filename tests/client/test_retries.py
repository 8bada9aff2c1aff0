"""What happens when the service is busy, away, or says no."""

import time

import pytest

import stillhouse
from app.contract import errors as contract
from app.contract.resources import File
from stillhouse.retry import RetryRules, seconds_asked


def test_waits_as_long_as_the_service_asks(client, script, answers):
    busy = answers.problem(503, "service_unavailable", "database away", **{"Retry-After": "1"})
    script.on("GET", f"/v1/jobs/{answers.JOB}", busy, answers.json(answers.job()))
    start = time.monotonic()
    assert client.jobs.get(answers.JOB).state == "queued"
    assert time.monotonic() - start >= 1
    assert len(script.asked) == 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_reads_are_repeated_until_the_tries_are_used_up(client, script, answers, status):
    script.on("GET", "/v1/jobs/x", answers.problem(status, "busy", "later", **{"Retry-After": "0"}))
    with pytest.raises(stillhouse.ServiceError) as caught:
        client.jobs.get("x")
    assert caught.value.status == status
    assert len(script.asked) == 4


@pytest.mark.parametrize("status", [400, 404, 409, 422, 500, 507])
def test_other_refusals_are_final(client, script, answers, status):
    script.on("GET", "/v1/jobs/x", answers.problem(status, "some_code", "no"))
    with pytest.raises(stillhouse.ServiceError):
        client.jobs.get("x")
    assert len(script.asked) == 1


def test_a_submission_is_repeated_under_one_key(client, script, answers):
    lost = answers.Answer(201, b"{...", cut=1)
    script.on("POST", "/v1/jobs", lost, answers.json(answers.job(), 201))
    assert client.jobs.submit(answers.SPEC).id == answers.JOB
    keys = [asked.headers["Idempotency-Key"] for asked in script.asked]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_each_submission_has_a_key_of_its_own(client, script, answers):
    script.on("POST", "/v1/jobs", answers.json(answers.job(), 201))
    client.jobs.submit(answers.SPEC)
    client.jobs.submit(answers.SPEC)
    client.jobs.submit(answers.SPEC, idempotency_key="mine")
    keys = [asked.headers["Idempotency-Key"] for asked in script.asked]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_a_registration_is_not_repeated_when_it_may_have_happened(client, script, answers, tmp_path):
    script.on("POST", "/v1/models", answers.Answer(201, b"{...", cut=1))
    file = File(id="file_1", name="t", size=1, sha256="0" * 64, created_at="2026-01-01T00:00:00Z")
    with pytest.raises(stillhouse.Unreachable, match="broke"):
        client.models.create(file, architecture={"kind": "mlp", "inputs": 4, "classes": 2})
    assert len(script.asked) == 1


def test_a_registration_is_repeated_when_it_was_turned_away(client, script, answers):
    script.on("POST", "/v1/models", answers.problem(429, "rate_limited", "slow down", **{"Retry-After": "0"}))
    file = File(id="file_1", name="t", size=1, sha256="0" * 64, created_at="2026-01-01T00:00:00Z")
    with pytest.raises(stillhouse.RateLimited):
        client.models.create(file, architecture={})
    assert len(script.asked) == 4


def test_a_deletion_whose_answer_was_lost_counts_as_done(client, script, answers):
    lost = answers.Answer(200, b"x", cut=0)
    script.on("DELETE", "/v1/files/f", lost, answers.problem(404, "not_found", "gone"))
    client.files.delete("f")
    assert len(script.asked) == 2


def test_a_deletion_of_nothing_is_an_error(client, script, answers):
    script.on("DELETE", "/v1/files/f", answers.problem(404, "not_found", "no such file"))
    with pytest.raises(stillhouse.NotFound):
        client.files.delete("f")


def test_says_how_to_start_a_service_where_none_is():
    with (
        stillhouse.Stillhouse("http://127.0.0.1:9", retries=0) as client,
        pytest.raises(stillhouse.Unreachable, match="no Stillhouse answers") as caught,
    ):
        client.jobs.get("x")
    assert "`stillhouse serve` starts one" in caught.value.help


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://x", "http://", "http://[::1", "nonsense"])
def test_refuses_what_is_no_url(url):
    with pytest.raises(stillhouse.Unreachable, match="not a URL"):
        stillhouse.Stillhouse(url)


def test_finds_the_service_through_the_environment(monkeypatch):
    monkeypatch.setenv("STILLHOUSE_URL", "http://example.org:1/")
    with stillhouse.Stillhouse() as client:
        assert client.url == "http://example.org:1"


def test_loopback_is_reached_beside_a_proxy(monkeypatch, client, script, answers):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    script.on("GET", "/v1/jobs/x", answers.json(answers.job()))
    with stillhouse.Stillhouse(script.url, retries=0) as behind_a_proxy:
        assert behind_a_proxy.jobs.get("x").id == answers.JOB


def test_an_error_tells_everything(client, script, answers):
    wrong = {"pointer": "/objective/0/temperature", "detail": "must stay above 0"}
    script.on("POST", "/v1/jobs", answers.problem(422, "invalid_spec", "the spec cannot run", wrong))
    with pytest.raises(stillhouse.InvalidSpec) as caught:
        client.jobs.submit(answers.SPEC)
    error = caught.value
    assert (error.status, error.code, error.detail, error.request_id) == (
        422, "invalid_spec", "the spec cannot run", "req_7",
    )  # fmt: skip
    assert error.errors[0].pointer == "/objective/0/temperature"
    assert "/objective/0/temperature: must stay above 0" in str(error)
    assert "req_7" in str(error)
    assert error.__notes__ == [f"What to do: {error.help}"]
    assert "stillhouse validate" in error.help


def test_a_proxys_page_is_an_error_too(client, script, answers):
    script.on("GET", "/v1/jobs/x", answers.Answer(413, b"<html>too big</html>"))
    with pytest.raises(stillhouse.PayloadTooLarge, match="HTTP 413"):
        client.jobs.get("x")


def test_another_kind_of_service_is_recognised(client, script, answers):
    script.on("GET", "/v1/jobs/x", answers.Answer(200, b"<html>hello</html>"))
    with pytest.raises(stillhouse.UnexpectedAnswer, match="like a Stillhouse"):
        client.jobs.get("x")


def contract_errors(root=contract.StillhouseError):
    for branch in root.__subclasses__():
        if branch.__module__ == contract.__name__:
            yield branch
            yield from contract_errors(branch)


@pytest.mark.parametrize("theirs", list(contract_errors()), ids=lambda error: error.code)
def test_every_error_of_the_contract_has_its_class(client, script, answers, theirs):
    script.on("GET", "/v1/jobs/x", answers.problem(theirs.status, theirs.code, "no", **{"Retry-After": "0"}))
    with pytest.raises(stillhouse.ServiceError) as caught:
        client.jobs.get("x")
    ours = type(caught.value)
    assert ours.__name__ == theirs.__name__
    assert ours.code == theirs.code
    assert getattr(stillhouse, ours.__name__) is ours
    parents = {base.__name__ for base in theirs.__mro__} & {"InvalidRequest"}
    assert parents <= {base.__name__ for base in ours.__mro__}


def test_back_off_doubles_and_stays_bounded():
    rules = RetryRules(retries=10, first_wait=1.0)
    for attempt in range(12):
        assert 0.75 * min(2**attempt, 60) <= rules.wait(attempt) <= 1.25 * min(2**attempt, 60)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("3", 3), ("0", 0), ("-5", 0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("soon", None)],
)
def test_retry_after_is_seconds_or_a_date(header, seconds):
    assert seconds_asked(header) == seconds
