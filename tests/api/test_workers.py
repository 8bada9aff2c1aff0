"""Workers over HTTP; real ones are in tests/worker/test_presence.py."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import update

from app.db.base import db_now
from app.db.session import Database
from app.db.tables import Job, Worker
from app.jobs import leases
from app.store import Store
from app.workers import service
from tests.api.conftest import House

ID = "wrk_" + "0" * 32


USE = [{"device": "cuda:0", "gpu": "3", "name": "H", "memory_used": 5, "memory_total": None, "utilization": 0.5}]


def be_there(
    house: House, *, role: str = "distill", at_work: bool = False, devices: Sequence[str] = ("cuda:0",)
) -> None:
    async def act(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            me = Worker(id=ID, name=f"{role}-1@host", role=role, devices=[*devices], device_use=USE, slots=1)
            await service.beat(session, me)
            if at_work:
                assert await leases.claim(session, "distill-1@host/7", 30)

    house.work(act)


def listed(house: House) -> list[dict[str, Any]]:
    return list(house.client.get("/v1/workers").json()["data"])


def test_workers_are_listed_with_their_jobs(house: House) -> None:
    assert listed(house) == []
    job = house.submit()
    be_there(house, at_work=True)
    [one] = listed(house)
    assert (one["id"], one["name"], one["state"], one["devices"]) == (ID, "distill-1@host", "ready", ["cuda:0"])
    assert (one["role"], one["device_use"]) == ("distill", USE)
    assert one["jobs"] == [job["id"]]
    be_there(house)
    assert len(listed(house)) == 1


def test_a_waiting_job_says_what_it_waits_for(house: House) -> None:
    blocked_by = partial(why_blocked, house, house.submit())
    be_there(house, role="housekeeping")
    assert (blocked_by(-60), blocked_by(3)) == (None, "no_worker")
    house.work(forget)
    be_there(house)
    assert (blocked_by(-60), blocked_by(3)) == (None, "no_free_device")
    house.client.post(f"/v1/workers/{ID}/drain")
    assert blocked_by(3) == "no_worker"
    house.client.post(f"/v1/workers/{ID}/undrain")
    assert blocked_by(3) == "no_free_device"


def why_blocked(house: House, job: dict[str, Any], seconds: float) -> str | None:
    """Return what a job is blocked by once it has waited so long."""

    async def wait(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await session.execute(update(Job).values(queued_at=db_now(-seconds)))

    house.work(wait)
    found = house.client.get(f"/v1/jobs/{job['id']}").json()["blocked_by"]
    assert [one["blocked_by"] for one in house.client.get("/v1/jobs").json()["data"]] == [found]
    return str(found) if found else None


def test_a_job_that_asks_for_cuda_where_no_worker_has_it_says_so(house: House) -> None:
    blocked_by = partial(why_blocked, house, house.submit(device="cuda"))
    be_there(house, devices=["cpu"])
    assert (blocked_by(-60), blocked_by(3)) == (None, "too_few_devices")
    house.work(forget)
    be_there(house, devices=["cuda:0"])
    assert blocked_by(3) == "no_free_device"


def test_a_job_that_asks_for_more_devices_than_any_worker_has_says_so(house: House) -> None:
    blocked_by = partial(why_blocked, house, house.submit(devices=2))
    be_there(house)
    assert (blocked_by(-60), blocked_by(3)) == (None, "too_few_devices")
    house.work(forget)
    be_there(house, devices=["cuda:0", "cuda:1"])
    assert blocked_by(3) == "no_free_device"
    house.work(forget)
    be_there(house, devices=["cpu"])
    assert blocked_by(3) == "no_free_device"


async def forget(database: Database, _: Store) -> None:
    async with database.transaction() as session:
        await service.leave(session, ID)


def test_draining_is_safe_to_repeat(house: House) -> None:
    path = f"/v1/workers/{ID}/drain"
    assert house.client.post(path).status_code == 404
    be_there(house)
    for body in ({}, {"running": "checkpoint"}, {"running": "finish"}):
        answer = house.client.post(path, json=body)
        assert (answer.status_code, answer.json()["state"]) == (202, "drained")
    assert house.client.post(path, json={"running": "now"}).json()["errors"][0]["pointer"] == "/running"

    assert wish(house) == "checkpoint"  # what is given back stays so


def wish(house: House) -> str | None:
    async def ask(database: Database, _: Store) -> str | None:
        async with database.transaction() as session:
            return await service.beat(session, Worker(id=ID))

    return house.work(ask)


def test_undraining_is_safe_to_repeat(house: House) -> None:
    path = f"/v1/workers/{ID}/undrain"
    assert house.client.post(path).status_code == 404
    be_there(house)
    house.client.post(f"/v1/workers/{ID}/drain", json={"running": "checkpoint"})
    for _ in range(2):
        answer = house.client.post(path)
        assert (answer.status_code, answer.json()["state"]) == (202, "ready")
        assert wish(house) is None
    house.client.post(f"/v1/workers/{ID}/drain")
    assert wish(house) == "finish"


def test_housekeepers_are_listed_and_not_drained(house: House) -> None:
    be_there(house, role="housekeeping")
    [one] = listed(house)
    assert (one["role"], one["state"]) == ("housekeeping", "ready")
    for verb in ("drain", "undrain"):
        answer = house.client.post(f"/v1/workers/{ID}/{verb}")
        assert (answer.status_code, answer.json()["detail"].split(":")[0]) == (
            409,
            "a housekeeping worker takes no jobs",
        )


def test_a_lost_worker_is_not_drained(house: House) -> None:
    be_there(house)

    async def fall_silent(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await session.execute(update(Worker).values(seen_at=db_now(-house.settings.lease_seconds)))

    house.work(fall_silent)
    assert listed(house)[0]["state"] == "lost"
    for verb in ("drain", "undrain"):
        assert house.client.post(f"/v1/workers/{ID}/{verb}").status_code == 409
