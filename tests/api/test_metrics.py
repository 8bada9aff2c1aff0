"""/metrics as Prometheus reads it: requests by route, queue, jobs, lost attempts and pace; nobody's ids."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from app.contract.events import Run, Step
from app.contract.states import JobState
from app.db.session import Database
from app.db.tables import Job, Worker
from app.jobs import leases, upkeep
from app.settings import Settings
from app.store import Store
from app.workers import service as workers
from tests.api.conftest import House, running

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


COUNT = "stillhouse_http_request_seconds_count"


def scrape(client: httpx2.Client) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and the values of its labels."""
    answer = client.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert not any(prefix in answer.text for prefix in ("job_0", "mdl_", "ds_0", "tnt_", "file_"))
    families = text_string_to_metric_families(answer.text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def test_requests_are_counted_by_operation_and_never_by_path(house: House) -> None:
    job = house.submit()["id"]
    for _ in range(3):
        house.client.get(f"/v1/jobs/{job}")
    house.client.get("/v1/jobs/job_0")
    house.client.head(f"/v1/jobs/{job}")
    house.client.get("/nowhere/at/all")
    house.client.request("BREW", "/v1/jobs")
    house.client.post("/v1/jobs", content=b" " * (2**20 + 1))
    found = scrape(house.client)
    requests = {labels[1:]: value for labels, value in found.items() if labels[0] == COUNT}
    assert requests["get_job", "200"] == 4
    assert requests["get_job", "404"] == 1
    assert requests["create_job", "201"] == 1
    assert requests["none", "404"] == 1
    assert requests["none", "413"] == 1
    assert sum(value for (_, status), value in requests.items() if status == "405") == 1


GPU = {"device": "cuda:0", "gpu": "1", "name": "H", "memory_used": 2**36, "memory_total": None, "utilization": 0.25}


def test_queue_jobs_and_hosts(house: House) -> None:
    first = house.submit()["id"]
    house.submit()
    house.submit(name="third")

    async def act(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            for name in ("distill-1@north", "distill-2@north"):
                await workers.beat(session, Worker(id=name, name=name, devices=["0", "1"], slots=2, device_use=[GPU]))
            keeper = Worker(id="keeper", name="housekeeping-1@north", role="housekeeping", devices=[], slots=2)
            await workers.beat(session, keeper)
            lease = await leases.claim(session, "distill-1@north/7", 60)
            assert lease
            assert lease.job_id == first
            waiting = update(Job).where(Job.state == JobState.QUEUED)
            await session.execute(waiting.values(queued_at=datetime.now(UTC) - timedelta(hours=2)))
            await session.execute(waiting.where(Job.name == "third").values(blocked_by="inspection"))

    house.work(act)
    found = scrape(house.client)
    assert found["stillhouse_database_up",] == 1
    assert (found["stillhouse_jobs", "queued"], found["stillhouse_jobs", "starting"]) == (2, 1)
    assert found["stillhouse_jobs", "failed"] == 0
    assert (found["stillhouse_queue_jobs", ""], found["stillhouse_queue_jobs", "inspection"]) == (1, 1)
    assert 7190 < found["stillhouse_queue_oldest_seconds", ""] < 7300
    assert (found["stillhouse_slots", "north"], found["stillhouse_busy_slots", "north"]) == (4, 1)
    assert found["stillhouse_attempts_lost",] == 0
    assert found["stillhouse_gpu_memory_used_bytes", "1", "north"] == 2**36
    assert found["stillhouse_gpu_utilization_ratio", "1", "north"] == 0.25
    assert ("stillhouse_gpu_memory_total_bytes", "1", "north") not in found


def test_an_empty_house_waits_for_nothing(house: House) -> None:
    found = scrape(house.client)
    assert (found["stillhouse_queue_jobs", ""], found["stillhouse_queue_oldest_seconds", ""]) == (0, 0)
    assert found["stillhouse_samples_per_second",] == 0
    assert not any(name.startswith("stillhouse_gpu") for name, *_ in found)


def test_lost_attempts(house: House) -> None:
    house.submit()

    async def act(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            assert await leases.claim(session, "first", -1)
        async with database.transaction() as session:
            assert await upkeep.reap_lost(session, await upkeep.overdue(session, 60)) == 1

    house.work(act)
    assert scrape(house.client)["stillhouse_attempts_lost",] == 1


def step(number: int, seconds: float, stage: str | None = None) -> Step:
    return Step(
        time=WHEN + timedelta(seconds=seconds), run=Run.STUDENT, stage=stage, step=number, steps=100, epoch=1.0,
        progress=0.5, metrics={"loss": 1.0, "samples_per_second": 100.0 * number},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reports", "pace"),
    [
        ([step(1, 0), step(2, 9), step(6, 10)], (0.25, 600)),
        ([step(9, 0, "warm"), step(1, 1)], (None, 0)),
        ([step(3, 0)], (None, 0)),
    ],
    ids=["the last two", "another stage", "only one"],
)
def test_the_pace_is_that_between_the_last_reports(
    house: House, reports: list[Step], pace: tuple[float, float]
) -> None:
    house.submit()

    async def act(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            lease = await leases.claim(session, "first", 60)
            assert lease
            await leases.advance(session, lease, JobState.RUNNING)
            await leases.record(session, lease, reports)

    house.work(act)
    found = scrape(house.client)
    assert found.get(("stillhouse_step_seconds", "0.5")) == pace[0]
    assert found.get(("stillhouse_step_seconds", "1")) == pace[0]
    assert found["stillhouse_samples_per_second",] == pace[1]


def test_without_a_database_requests_are_still_counted(house: House) -> None:
    nowhere = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"
    away = Settings(**{**house.settings.model_dump(), "database_url": nowhere})
    with running(away) as url, httpx2.Client(base_url=url) as client:
        client.get("/healthz")
        found = scrape(client)
    assert found["stillhouse_database_up",] == 0
    assert found[COUNT, "get_health", "200"] >= 1
    assert not any(name == "stillhouse_jobs" for name, *_ in found)
