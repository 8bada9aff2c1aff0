"""What comes out of a job: downloads, metrics, logs, events."""

import asyncio
import base64
import hashlib
import json
from pathlib import Path

import pytest

from app.contract.events import Evaluation, PhaseEntered, Run, Step
from app.contract.states import JobState, Phase
from app.db.session import Database
from app.jobs import leases, metrics
from app.store import Store
from tests.api.conftest import ON_SQLITE, House

STUDENT = bytes(range(256)) * 1000


@pytest.fixture
def done(house: House, tmp_path: Path) -> str:
    house.submit()
    return house.finish({"student": STUDENT, "report": b'{"version": 1}'}, tmp_path)


def test_a_download_carries_its_hash(house: House, done: str) -> None:
    answer = house.client.get(f"/v1/jobs/{done}/student")
    digest = hashlib.sha256(STUDENT)
    assert answer.content == STUDENT
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert 'filename="student.bin"' in answer.headers["content-disposition"]
    artifacts = house.client.get(f"/v1/jobs/{done}/artifacts").json()["data"]
    student = next(entry for entry in artifacts if entry["kind"] == "student")
    assert (student["sha256"], student["size"]) == (digest.hexdigest(), len(STUDENT))
    assert house.client.get(f"/v1/artifacts/{student['id']}").content == STUDENT


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, STUDENT[:10]),
        ("bytes=1000-", 206, STUDENT[1000:]),
        ("bytes=-5", 206, STUDENT[-5:]),
        ("bytes=255990-999999999", 206, STUDENT[255990:]),
        ("bytes=999999999-", 416, None),
        ("bytes=-0", 416, None),
        ("bytes=5-2", 200, STUDENT),
        ("bytes=0-1,5-6", 200, STUDENT),
        ("lines=0-1", 200, STUDENT),
    ],
    ids=lambda given: "" if isinstance(given, bytes) else None,  # a test's name is in the environment of its servers
)
@ON_SQLITE
def test_ranges(house: House, done: str, wanted: str, status: int, part: bytes | None) -> None:
    answer = house.client.get(f"/v1/jobs/{done}/student", headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (status, part or answer.content)
    if status == 206:
        assert answer.headers["content-range"].endswith(f"/{len(STUDENT)}")
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(STUDENT)}"
        assert answer.json()["code"] == "range_not_satisfiable"


def test_conditions(house: House, done: str) -> None:
    path = f"/v1/jobs/{done}/student"
    tag = house.client.get(path).headers["etag"]
    assert house.client.get(path, headers={"If-None-Match": f'"x", W/{tag}'}).status_code == 304
    assert house.client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    part = {"Range": "bytes=0-3"}
    assert house.client.get(path, headers={**part, "If-Range": tag}).status_code == 206
    assert house.client.get(path, headers={**part, "If-Range": '"old"'}).status_code == 200


def test_head_is_get_without_the_body(house: House, done: str) -> None:
    for path in (f"/v1/jobs/{done}/student", f"/v1/jobs/{done}", f"/v1/jobs/{done}/events", "/v1/catalog", "/healthz"):
        head, get = house.client.head(path), house.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers.get("etag") == get.headers.get("etag")
        assert head.headers.get("content-length") == get.headers.get("content-length")
    stream = house.client.head(f"/v1/jobs/{done}/events", headers={"Accept": "text/event-stream"})
    assert stream.status_code == 200


def test_the_report_is_json(house: House, done: str) -> None:
    answer = house.client.get(f"/v1/jobs/{done}/report")
    assert answer.json() == {"version": 1}


def test_a_job_without_a_student_says_how_it_stands(house: House) -> None:
    answer = house.client.get(f"/v1/jobs/{house.submit()['id']}/student")
    assert answer.status_code == 409
    assert "queued" in answer.json()["detail"]


def test_a_blob_that_is_gone_is_an_error_and_not_an_empty_file(house: House, done: str) -> None:
    for path in (house.settings.data / "blobs").rglob(hashlib.sha256(STUDENT).hexdigest()):
        path.unlink()
    answer = house.client.get(f"/v1/jobs/{done}/student")
    assert (answer.status_code, answer.json()["code"]) == (500, "artifact_corrupt")
    assert "retry-after" not in answer.headers  # it would be the same again


def measured(house: House) -> str:
    """Return a running job that has reported steps, an evaluation and a log."""
    house.submit()

    async def act(database: Database, _: Store) -> str:
        async with database.transaction() as session:
            lease = await leases.claim(session, "test", 30)
            assert lease
            await leases.advance(session, lease, JobState.RUNNING)
        common = {"run": Run.STUDENT, "epoch": 1.0}
        steps = [Step(step=n, steps=100, progress=n / 200, metrics={"loss": 1 / n}, **common) for n in range(1, 101)]
        found = Evaluation(step=100, split="validation", metrics={"accuracy": 0.5}, **common)
        async with database.transaction() as session:
            await leases.record(session, lease, [PhaseEntered(phase=Phase.TRAINING), *steps, found], log="one\n")
        async with database.transaction() as session:
            await leases.record(session, lease, [], log="zwö\n")
        return lease.job_id

    return str(house.work(act))


def test_metrics_are_series(house: House) -> None:
    job = measured(house)
    series = {entry["name"]: entry for entry in house.client.get(f"/v1/jobs/{job}/metrics").json()["series"]}
    assert series.keys() == {"student/loss", "student/validation/accuracy"}
    assert series["student/loss"]["values"][9] == pytest.approx(0.1)
    thin = house.client.get(
        f"/v1/jobs/{job}/metrics", params={"name": "student/loss", "from_step": 50, "max_points": 3}
    ).json()["series"]
    assert [entry["steps"] for entry in thin] == [[50, 75, 100]]


def test_series_of_a_stage_stand_by_themselves() -> None:
    told = [(stage, step, {"loss": loss}) for stage, step, loss in (("hints", 1, 5.0), (None, 1, 2.0), (None, 2, 1.0))]
    found = metrics.series(
        [("step", {"run": "student", "stage": stage, "step": step, "metrics": values}) for stage, step, values in told],
        frozenset(), from_step=0, max_points=9,
    )  # fmt: skip
    assert [(one.name, one.values) for one in found] == [("student.hints/loss", [5.0]), ("student/loss", [2.0, 1.0])]


def test_a_live_job_shows_phase_progress_and_log(house: House) -> None:
    job = measured(house)
    shown = house.client.get(f"/v1/jobs/{job}").json()
    assert (shown["state"], shown["phase"], shown["progress"]) == ("running", "training", 0.5)
    log = house.client.get(f"/v1/jobs/{job}/logs")
    assert (log.text, log.headers["content-type"]) == ("one\nzwö\n", "text/plain; charset=utf-8")


def test_events_page_without_a_gap(house: House) -> None:
    job = measured(house)
    seen: list[int] = []
    more = True
    while more:
        after = seen[-1] if seen else 0
        page = house.client.get(f"/v1/jobs/{job}/events", params={"after": after, "limit": 30}).json()
        seen += [event["seq"] for event in page["data"]]
        more = page["has_more"]
    assert seen == list(range(1, 106))


def test_a_stream_ends_after_the_end_and_resumes_where_it_was_cut(house: House) -> None:
    job = measured(house)
    asyncio.run(asyncio.sleep(0))
    house.client.post(f"/v1/jobs/{job}/cancel")

    async def act(database: Database, _: Store) -> None:
        from app.jobs.repository import JobRepository

        async with database.transaction() as session:
            row = await JobRepository(session).get("tnt_default", job)
            assert row
            await leases.lay_down(session, row)

    house.work(act)
    whole = _stream(house, job, {})
    assert [event["seq"] for event in whole] == list(range(1, 108))
    assert whole[-1]["type"] == "job.terminal"
    rest = _stream(house, job, {"Last-Event-ID": "100"})
    assert [event["seq"] for event in rest] == list(range(101, 108))
    assert _stream(house, job, {"Last-Event-ID": "107"}) == []


def _stream(house: House, job: str, headers: dict[str, str]) -> list[dict[str, object]]:
    accept = {"Accept": "text/event-stream", **headers}
    with house.client.stream("GET", f"/v1/jobs/{job}/events", headers=accept) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line.removeprefix("data: ")) for line in answer.iter_lines() if line.startswith("data: ")]
