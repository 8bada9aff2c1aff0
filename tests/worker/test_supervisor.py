"""One job from its claim to its end, with a child that does what each test needs."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.job_file import MOST_HALVINGS, JobFile
from app.contract.spec import JobSpec
from app.contract.states import FailureCode, JobState
from app.db.base import DEFAULT_TENANT
from app.jobs import leases, upkeep
from app.jobs.repository import JobRepository
from app.settings import Settings
from app.store import Store
from tests.worker.conftest import House
from tests.worker.test_claims import claim
from tests.worker.waiting import eventually
from worker import supervisor
from worker.devices import Host
from worker.folders import job_folder

pytestmark = pytest.mark.anyio


PRODUCTS = {"out/student.safetensors": "weights", "out/report.json": "{}"}
FINISH = [["make", PRODUCTS], ["report", {"type": "finished", "stop_reason": "completed"}]]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here: what differs between them is in test_claims.py and test_whole_way.py."""
    return sqlite_url


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")


async def distill(house: House, stop: asyncio.Event | None = None) -> str | None:
    return await supervisor.distill(
        house.database, house.store, house.settings, Host(), "test", stop or asyncio.Event()
    )


async def submit(house: House, *script: list[Any], **spec: Any) -> str:
    """Queue a job whose child will do these steps."""
    [job_id] = await house.submit(**spec)
    folder = job_folder(house.settings, job_id)
    folder.mkdir(parents=True)
    (folder / "script.json").write_text(json.dumps(script))
    return job_id


async def begun(house: House, job_id: str, steps: int) -> bool:
    path = job_folder(house.settings, job_id) / "begun.txt"
    return path.exists() and int(path.read_text() or 0) >= steps


async def lose(house: House, job_id: str) -> None:
    """Let a job's lease run out and be noticed."""
    job = await house.job(job_id)
    lease = leases.Lease(job_id, job.tenant_id, job.attempt, JobSpec.model_validate(job.spec))
    async with house.database.transaction() as session:
        await leases.renew(session, lease, -1)
        await upkeep.reap_lost(session, await upkeep.overdue(session, 60))


async def test_publishes_what_the_child_made(house: House) -> None:
    job_id = await submit(house, ["print", "hello"], *FINISH)
    assert await distill(house) == job_id
    assert (await house.job(job_id)).state == JobState.SUCCEEDED
    artifacts = await house.artifacts(job_id)
    assert set(artifacts) == {"student", "report", "log"}
    stored = b"".join([chunk async for chunk in house.store.stream(artifacts["student"].sha256)])
    assert stored == b"weights"
    assert (await house.events(job_id))[-1].type == "job.terminal"
    assert not job_folder(house.settings, job_id).exists()


async def test_a_heartbeat_that_comes_too_late_for_the_end_is_no_loss(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house.settings = house.settings.model_copy(update={"heartbeat_seconds": 0.001})
    finish = leases.finish

    async def finish_slowly(session: AsyncSession, *arguments: Any) -> None:
        await finish(session, *arguments)
        await session.commit()
        await asyncio.sleep(0.2)

    monkeypatch.setattr(leases, "finish", finish_slowly)
    job_id = await submit(house, *FINISH)
    await distill(house)
    assert (await house.job(job_id)).state == JobState.SUCCEEDED
    assert not job_folder(house.settings, job_id).exists()
    assert "another worker" not in caplog.text


async def test_files_of_one_kind_are_artifacts_of_their_own(house: House) -> None:
    made = {"out/loss.png": "a", "out/confusion.png": "b", "out/loss.svg": "c", "out/generation-1.safetensors": "d"}
    job_id = await submit(house, ["make", PRODUCTS | made], *FINISH[1:])
    await distill(house)
    assert (await house.job(job_id)).state == JobState.SUCCEEDED
    async with house.database.reading() as session:
        found = await JobRepository(session).artifacts(DEFAULT_TENANT, job_id)
    assert {Path(name).name for name in PRODUCTS | made} <= {artifact.name for artifact in found}


async def test_the_child_is_told_the_limits(house: House) -> None:
    job_id = await submit(house, ["die", signal.SIGKILL])
    await distill(house)
    told = JobFile.model_validate_json((job_folder(house.settings, job_id) / "job.json").read_bytes())
    assert (told.threads, told.max_parameters) == (1, house.settings.max_parameters)


async def test_a_child_without_a_sign_of_life_is_killed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.settings = house.settings.model_copy(update={"job_silence_seconds": 1.0})
    job_id = await submit(house, ["sleep", 60], *FINISH)
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    [notice] = [event.data["text"] for event in await house.events(job_id) if event.type == "notice"]
    assert "it was killed by SIGKILL, because it had shown no sign of life for 1 seconds" in notice
    await distill(house)
    assert (await house.job(job_id)).state == JobState.SUCCEEDED


async def test_a_child_that_only_touches_its_events_lives(house: House) -> None:
    house.settings = house.settings.model_copy(update={"job_silence_seconds": 1.0})
    job_id = await submit(house, ["write", ""], ["touch for", 2.0], *FINISH)
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


async def test_nothing_to_do_ends_quietly(house: House) -> None:
    assert await distill(house) is None


async def test_events_come_whole_and_in_order(house: House) -> None:
    notices = [json.dumps({"type": "notice", "text": str(number)}) for number in range(3)]
    script = [["write", notices[0] + "\n" + notices[1][:9]], ["sleep", 0.4], ["write", notices[1][9:] + "\n"],
              ["write", "not json\n"], ["write", notices[2] + "\n"], *FINISH]  # fmt: skip
    job_id = await submit(house, *script)
    await distill(house)
    told = [event.data["text"] for event in await house.events(job_id) if event.type == "notice"]
    assert told == ["0", "1", "2"]


async def test_an_event_cut_short_by_a_crash_costs_only_itself(house: House) -> None:
    def notice(text: str) -> dict[str, str]:
        return {"type": "notice", "text": text}

    job_id = await submit(house, ["report", notice("before")], ["write", '{"type": "not'], ["die", signal.SIGKILL],
                          ["report", notice("after")], *FINISH)  # fmt: skip
    await distill(house)
    await distill(house)
    told = [(event.attempt, event.data["text"]) for event in await house.events(job_id) if event.type == "notice"]
    restarted = "attempt 2 starts from the beginning: no checkpoint on this host"
    assert told.pop(1)[1].startswith("Attempt 1 is over: the engine crashed: it was killed by SIGKILL")
    assert told == [(1, "before"), (2, restarted), (2, "after")]


async def test_a_crashing_child_is_tried_again_and_then_named(house: House) -> None:
    job_id = await submit(house, ["print", "dying words"], ["die", 11], ["die", 11], max_attempts=2)
    await distill(house)
    assert (await house.job(job_id)).state == JobState.QUEUED
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.failure_code, job.losses) == (JobState.FAILED, FailureCode.ENGINE_CRASHED, 2)
    assert job.failure_detail
    assert "SIGSEGV" in job.failure_detail
    assert "dying words" in job.failure_detail


async def test_a_reported_failure_is_the_jobs(house: House) -> None:
    failed = {"type": "failed", "code": "non_finite_loss", "detail": "step 7: soft_target is not finite"}
    job_id = await submit(house, ["report", failed], ["exit", 1])
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.failure_code, job.failure_detail) == ("failed", "non_finite_loss", failed["detail"])
    assert [event.type for event in await house.events(job_id)][-2:] == ["job.state", "job.terminal"]


async def test_out_of_memory_has_its_code(house: House) -> None:
    job_id = await submit(house, *[["exit", 70]] * (1 + MOST_HALVINGS), *FINISH)
    await distill(house)
    job = await house.job(job_id)
    assert (job.failure_code, job.attempt, job.halvings) == (FailureCode.OUT_OF_MEMORY, 1, MOST_HALVINGS)
    assert job.failure_detail == "the engine ran out of memory (micro-batches were halved 6 times)"


async def test_halved_micro_batches_stay_so(house: House) -> None:
    ran_out = {"type": "failed", "code": "out_of_memory", "detail": "can't allocate memory"}
    job_id = await submit(house, ["report", ran_out], ["exit", 70], ["exit", 70], ["die", signal.SIGKILL], *FINISH)
    await distill(house)
    assert (await house.job(job_id)).state == JobState.QUEUED
    told = JobFile.model_validate_json((job_folder(house.settings, job_id) / "job.json").read_bytes())
    assert told.halvings == 2
    (job_folder(house.settings, job_id) / "job.json").unlink()
    lease = await claim(house)
    assert lease.halvings == 2
    async with house.database.transaction() as session:
        await leases.give_back(session, lease)
    await distill(house)
    assert (await house.job(job_id)).state == JobState.SUCCEEDED


async def test_memory_that_runs_out_during_a_pause_fails_nothing(house: House) -> None:
    job_id = await submit(house, ["end when asked", 70])
    running = asyncio.create_task(distill(house))
    await eventually(lambda: begun(house, job_id, 1), what="the child's start")
    await house.pause(job_id)
    await asyncio.wait_for(running, 10)
    assert (await house.job(job_id)).state == JobState.PAUSED


async def test_cancelling_stops_the_child(house: House) -> None:
    job_id = await submit(house, ["wait", 30])
    running = asyncio.create_task(distill(house))
    await eventually(lambda: begun(house, job_id, 1), what="the child's start")
    await house.cancel(job_id)
    await running
    job = await house.job(job_id)
    assert (job.state, job.failure_code) == (JobState.CANCELLED, None)
    assert (await house.events(job_id))[-1].type == "job.terminal"
    assert not job_folder(house.settings, job_id).exists()


async def test_a_child_that_will_not_stop_is_killed(house: House) -> None:
    house.settings = house.settings.model_copy(update={"stop_grace_seconds": 0.3})
    job_id = await submit(house, ["sleep", 30])
    stop = asyncio.Event()
    running = asyncio.create_task(distill(house, stop))
    await eventually(lambda: begun(house, job_id, 1), what="the child's start")
    stop.set()
    await asyncio.wait_for(running, 10)
    job = await house.job(job_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 0)


async def test_a_stopping_worker_gives_the_job_back(house: House) -> None:
    job_id = await submit(house, ["wait", 30], *FINISH, max_attempts=1)
    stop = asyncio.Event()
    running = asyncio.create_task(distill(house, stop))
    await eventually(lambda: begun(house, job_id, 1), what="the child's start")
    stop.set()
    await running
    assert (await house.job(job_id)).state == JobState.QUEUED
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.attempt, job.losses) == (JobState.SUCCEEDED, 2, 0)


async def test_losing_the_lease_kills_the_child(house: House) -> None:
    job_id = await submit(house, ["sleep", 30])
    running = asyncio.create_task(distill(house))
    await eventually(lambda: begun(house, job_id, 1), what="the child's start")
    await lose(house, job_id)  # as if its heartbeats had not come through
    await asyncio.wait_for(running, 10)
    job = await house.job(job_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 1)


async def test_a_store_that_is_away_costs_no_attempt(house: House) -> None:
    job_id = await submit(house, *FINISH)
    away = Settings(store_url="s3://away", s3_endpoint="http://127.0.0.1:9", s3_access_key_id="x")
    at_hand, house.store = house.store, Store(away)
    await distill(house)
    job = await house.job(job_id)
    assert (job.state, job.losses) == (JobState.QUEUED, 0)
    house.store = at_hand
    await distill(house)
    assert (await house.job(job_id)).state == JobState.SUCCEEDED


async def test_the_log_in_the_database_is_bounded(house: House) -> None:
    job_id = await submit(house, ["print", "a" * 2**20], ["sleep", 0.3], ["print", "b" * 2**20], *FINISH)
    await distill(house)
    log = await house.log(job_id)
    assert "b" not in log.split("\n[", 1)[0]
    assert log.endswith("is not shown]\n")
    assert len(log) < 2**20 + 200
    assert (await house.artifacts(job_id))["log"].size == 2**21


async def test_the_child_sees_no_secrets(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLHOUSE_S3_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    job_id = await submit(house, ["make", PRODUCTS], ["environment", "out/report.json"], FINISH[1])
    await distill(house)
    report = (await house.artifacts(job_id))["report"].sha256
    seen = json.loads(b"".join([chunk async for chunk in house.store.stream(report)]))
    assert "secret" not in seen.values()
    assert not [name for name in seen if name.startswith(("STILLHOUSE", "AWS"))]
    assert seen["OMP_NUM_THREADS"] == "1"
    assert seen["TMPDIR"].startswith(str(job_folder(house.settings, job_id)))


async def test_the_memory_of_a_job_on_the_cpu_is_bounded_where_that_is_set(house: House) -> None:
    house.settings = house.settings.model_copy(update={"job_memory_bytes": 2**36})
    job_id = await submit(house, ["make", PRODUCTS], ["limits", "out/report.json"], FINISH[1])
    await distill(house)
    assert await house.json(job_id, "report") == {"memory": 2**36}
