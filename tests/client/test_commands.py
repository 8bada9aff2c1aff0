"""The command line: what it sends, prints, and returns."""

import hashlib
import inspect
import json

import pytest
from typer.testing import CliRunner

from app.contract.spec import JobSpec
from stillhouse.cli import app
from stillhouse.jobs import Jobs


@pytest.fixture
def stillhouse(script, monkeypatch):
    """Run a command against the scripted server."""
    monkeypatch.setenv("STILLHOUSE_URL", script.url)

    def run(*arguments: str):
        return CliRunner().invoke(app, list(map(str, arguments)))

    return run


def page(*items, more=False):
    return {"data": list(items), "has_more": more, "next_cursor": "next" if more else None}


def spec_file(tmp_path, text):
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_jobs_is_a_table(stillhouse, script, answers):
    script.on("GET", "/v1/jobs", answers.json(page(answers.job("running", name="digits", progress=0.5))))
    result = stillhouse("jobs", "--state", "running", "--label", "project:digits")
    assert result.exit_code == 0
    heads, row = result.stdout.splitlines()
    assert heads.split() == ["JOB", "NAME", "STATE", "PROGRESS", "CREATED"]
    assert row.split()[:4] == [answers.JOB, "digits", "running", "50%"]
    assert script.asked[0].query == "state=running&label=project%3Adigits&limit=20"


def test_jobs_prints_json_for_programs(stillhouse, script, answers):
    script.on("GET", "/v1/jobs", answers.json(page(answers.job("running"))))
    (row,) = json.loads(stillhouse("jobs", "--json").stdout)
    assert row["id"] == answers.JOB


def test_jobs_stops_at_its_limit(stillhouse, script, answers):
    script.on("GET", "/v1/jobs", answers.json(page(*[answers.job() for _ in range(3)], more=True)))
    assert len(json.loads(stillhouse("jobs", "--json", "--limit", "5").stdout)) == 5


def test_show_names_the_failure(stillhouse, script, answers):
    failure = {"code": "out_of_memory", "detail": "the student needs 9 GiB", "help": "Take a smaller student."}
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("failed", failure=failure)))
    result = stillhouse("show", answers.JOB)
    assert "out_of_memory: the student needs 9 GiB" in result.stdout
    assert "what to do Take a smaller student." in result.stdout


def test_show_says_what_helps_a_job_that_waits(stillhouse, script, answers):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job(blocked_by="no_free_device")))
    assert "start another worker" in stillhouse("show", answers.JOB).stdout


@pytest.mark.parametrize(("verb", "state"), [("cancel", "cancelling"), ("pause", "pausing"), ("resume", "queued")])
def test_a_wish_is_passed_on(stillhouse, script, answers, verb, state):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("running")))
    script.on("POST", f"/v1/jobs/{answers.JOB}/{verb}", answers.json(answers.job(state), 202))
    assert stillhouse(verb, answers.JOB).stdout == f"{answers.JOB} is {state}\n"


SHOWN = ["distill", "ready", "cuda:0", "1", "-"]


def test_workers_are_listed_and_drained(stillhouse, script, answers):
    one = {"id": "wrk_1", "name": "distill-1@host", "state": "ready", "devices": ["cuda:0"], "slots": 1, "jobs": []}
    one |= {"role": "distill", "device_use": [], "sandbox": []}
    one |= {"started_at": "2026-01-01T00:00:00Z", "seen_at": "2026-01-01T00:00:00Z"}
    script.on("GET", "/v1/workers", answers.json(page(one)))
    assert stillhouse("workers").stdout.splitlines()[1].split() == ["wrk_1", *SHOWN, one["name"]]
    script.on("POST", "/v1/workers/wrk_1/drain", answers.json({**one, "state": "drained"}, 202))
    assert stillhouse("drain", "wrk_1", "--checkpoint").stdout == "wrk_1 is drained\n"
    assert json.loads(script.asked[-1].body) == {"running": "checkpoint"}
    script.on("POST", "/v1/workers/wrk_1/undrain", answers.json(one, 202))
    assert stillhouse("undrain", "wrk_1").stdout == "wrk_1 is ready\n"


def test_retry_prints_the_new_id(stillhouse, script, answers):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("failed")))
    made = answers.job(id="job_2", retry_of=answers.JOB)
    script.on("POST", f"/v1/jobs/{answers.JOB}/retry", answers.json(made, 202))
    assert stillhouse("retry", answers.JOB).stdout == "job_2\n"


def test_clone_prints_the_new_id(stillhouse, script, answers):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("succeeded")))
    made = answers.job(id="job_2", cloned_from=answers.JOB)
    script.on("POST", f"/v1/jobs/{answers.JOB}/clone", answers.json(made, 201))
    assert stillhouse("clone", answers.JOB, "--name", "again").stdout == "job_2\n"
    assert json.loads(script.asked[-1].body) == {"name": "again"}


def test_logs_are_printed_as_they_are(stillhouse, script, answers):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("running")))
    script.on("GET", f"/v1/jobs/{answers.JOB}/logs", answers.Answer(200, "Gerät: cpu\n[bold]\n".encode()))
    assert stillhouse("logs", answers.JOB).stdout == "Gerät: cpu\n[bold]\n"


def test_errors_are_sentences_with_their_pointers(stillhouse, script, answers):
    wrong = [{"pointer": "/objective/0/kind", "detail": "unknown kind 'soft_targt'; did you mean 'soft_target'?"}]
    script.on("GET", "/v1/jobs/nonsense", answers.problem(422, "invalid_spec", "the spec cannot run", *wrong))
    result = stillhouse("show", "nonsense")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "/objective/0/kind: unknown kind 'soft_targt'; did you mean 'soft_target'?" in result.stderr
    assert "Traceback" not in result.stderr


def test_no_service_is_a_sentence_too(stillhouse):
    result = stillhouse("jobs", "--url", "http://127.0.0.1:9")
    assert result.exit_code == 1
    said, advice = result.stderr.splitlines()
    assert said == "stillhouse: no Stillhouse answers at http://127.0.0.1:9"
    assert advice.startswith("What to do: Check `STILLHOUSE_URL`")


@pytest.mark.parametrize("wrong", [["jobs", "--stat", "x"], ["show"], ["nonsense"], ["submit", "/no/such.yaml"]])
def test_wrong_usage_has_its_own_exit_status(stillhouse, wrong):
    assert stillhouse(*wrong).exit_code == 2


def test_submit_sends_the_spec_and_prints_the_id(stillhouse, script, answers, tmp_path):
    script.on("POST", "/v1/jobs", answers.json(answers.job(), 201))
    path = spec_file(tmp_path, json.dumps({**answers.SPEC, "objektive": []}))
    result = stillhouse("submit", path)
    assert result.stdout == f"{answers.JOB}\n"
    assert json.loads(script.asked[0].body) == {**answers.SPEC, "objektive": []}  # the service judges, not the client


def test_submit_takes_the_spec_out_of_a_lock_file(stillhouse, script, answers, tmp_path):
    script.on("POST", "/v1/jobs", answers.json(answers.job(), 201))
    lock = {"version": 1, "digests": {"student": "0"}, "job": {"spec": answers.SPEC}}
    (tmp_path / "job.lock.json").write_text(json.dumps(lock))
    assert stillhouse("submit", tmp_path / "job.lock.json").exit_code == 0
    assert json.loads(script.asked[0].body) == answers.SPEC


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("teacher: [", "is not YAML"),
        ("just words", "does not hold a mapping"),
        ("teacher: {file: nowhere.pt, architecture: {}}", "/teacher/file: there is no file"),
        ("teacher: {architecture: {}}", "/teacher/file: is missing"),
        ("teacher: {file: spec.yaml}", "/teacher/architecture: is missing"),
        ("transfer_set: {file: spec.yaml, split: {}}", "/transfer_set/split: unknown field"),
    ],
)
def test_a_spec_that_cannot_be_uploaded_is_refused_before_anything_is_sent(
    stillhouse, script, tmp_path, text, complaint
):
    result = stillhouse("submit", spec_file(tmp_path, text))
    assert result.exit_code == 1
    assert complaint in result.stderr
    assert script.asked == []


def test_validate_lists_everything_and_fails(stillhouse, script, answers, tmp_path):
    errors = [{"pointer": "/training/epochs", "detail": "should be at least 1"}]
    warnings = [{"pointer": "/objective/1", "detail": "no sample has a label"}]
    verdict = {
        "valid": False,
        "errors": errors,
        "warnings": warnings,
        "spec": None,
        "spec_hash": None,
        "estimate": None,
    }
    script.on("POST", "/v1/jobs/validate", answers.json(verdict))
    result = stillhouse("validate", spec_file(tmp_path, json.dumps(answers.SPEC)))
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "error    /training/epochs: should be at least 1",
        "warning  /objective/1: no sample has a label",
        "the spec is not valid",
    ]


def test_validate_tells_what_a_good_spec_needs(stillhouse, script, answers, tmp_path):
    estimate = {
        "memory_bytes": 50 * 2**20, "disk_bytes": 2**20, "seconds_on_one_core": 12.0, "optimizer_steps": 1230,
        "teacher_parameters": 301_066, "student_parameters": 1_210,
    }  # fmt: skip
    verdict = {"valid": True, "errors": [], "warnings": [], "spec": None, "spec_hash": "0", "estimate": estimate}
    script.on("POST", "/v1/jobs/validate", answers.json(verdict))
    result = stillhouse("validate", spec_file(tmp_path, json.dumps(answers.SPEC)))
    assert result.exit_code == 0
    assert "50 MiB of memory" in result.stdout
    assert "12 s on one core" in result.stdout


@pytest.mark.parametrize("text", ["not a mapping", "{unclosed", "@/no/such/file"])
def test_options_that_are_no_mapping_are_wrong_usage(stillhouse, tmp_path, text):
    (tmp_path / "t").write_bytes(b"x")
    assert stillhouse("upload-model", tmp_path / "t", "--architecture", text).exit_code == 2


def test_a_folder_needs_no_architecture_and_a_file_does(stillhouse, script, tmp_path):
    (tmp_path / "t").write_bytes(b"x")
    result = stillhouse("upload-model", tmp_path / "t")
    assert (result.exit_code, script.asked) == (2, [])
    assert "--architecture" in result.stderr
    result = stillhouse("upload-model", tmp_path)
    assert "has no config.json" in str(result.stderr) + str(result.exception)


def test_download_all_names_what_there_is(stillhouse, script, answers, tmp_path):
    script.on("GET", f"/v1/jobs/{answers.JOB}", answers.json(answers.job("succeeded")))
    one = {
        "id": "art_1",
        "job": answers.JOB,
        "kind": "card",
        "name": "README.md",
        "size": 4,
    }
    one |= {
        "media_type": "text/plain",
        "sha256": hashlib.sha256(b"card").hexdigest(),
        "created_at": "2026-01-01T00:00:00Z",
    }
    script.on("GET", f"/v1/jobs/{answers.JOB}/artifacts", answers.json(page(one)))
    script.on("GET", "/v1/artifacts/art_1", answers.Answer(200, b"card"))
    result = stillhouse("download", answers.JOB, tmp_path / "new", "--all")
    assert result.stdout == f"{tmp_path / 'new' / 'README.md'}\n"
    assert (tmp_path / "new" / "README.md").read_bytes() == b"card"
    assert "has published no lock (there is: card)" in stillhouse("download", answers.JOB, "--artifact", "lock").stderr
    assert stillhouse("download", answers.JOB, tmp_path, "--artifact", "README.md").exit_code == 0


def test_jobs_are_created_with_every_field_of_a_spec():
    assert set(JobSpec.model_fields) <= set(inspect.signature(Jobs.create).parameters)


def test_pins_by_id_whatever_it_is(stillhouse, script, answers):
    file = {"id": "file_1", "name": "a", "size": 1, "sha256": "0", "created_at": "2026-01-02T03:04:05Z"}
    script.on("PATCH", f"/v1/jobs/{answers.JOB}", answers.json(answers.job(pinned=True)))
    script.on("PATCH", "/v1/files/file_1", answers.json(file))
    assert stillhouse("pin", answers.JOB, "file_1").stdout == f"{answers.JOB} is pinned\nfile_1 is pinned\n"
    assert stillhouse("unpin", answers.JOB).exit_code == 0
    assert [json.loads(asked.body) for asked in script.asked] == [{"pinned": True}, {"pinned": True}, {"pinned": False}]


def test_what_cannot_be_pinned_is_said(stillhouse, script):
    result = stillhouse("pin", "wrk_1")
    assert result.exit_code == 2
    assert "wrk_1" in result.stderr
    assert not script.asked


def test_retention_is_a_table(stillhouse, script, answers):
    due = {"kind": "jobs", "reason": "that ended 60 s ago", "count": 2, "bytes": 7, "first": [answers.JOB]}
    script.on("GET", "/v1/retention", answers.json({"removals": [due]}))
    heads, row = stillhouse("retention").stdout.splitlines()
    assert heads.split() == ["KIND", "COUNT", "BYTES", "FIRST", "WHY"]
    assert row.split()[:4] == ["jobs", "2", "7", answers.JOB]
    assert json.loads(stillhouse("retention", "--json").stdout)["removals"] == [due]
