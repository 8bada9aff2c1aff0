"""Workers over HTTP; real ones are in tests/worker/test_presence.py."""

from typing import Any

from sqlalchemy import update

from app.db.base import db_now
from app.db.session import Database
from app.db.tables import Worker
from app.jobs import leases
from app.store import Store
from app.workers import service
from tests.api.conftest import House

ID = "wrk_" + "0" * 32


def be_there(house: House, *, at_work: bool = False) -> None:
    async def act(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await service.beat(session, Worker(id=ID, name="distill-1@host", devices=["cuda:0"], slots=1))
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
    assert one["jobs"] == [job["id"]]
    be_there(house)
    assert len(listed(house)) == 1


def test_draining_is_safe_to_repeat(house: House) -> None:
    path = f"/v1/workers/{ID}/drain"
    assert house.client.post(path).status_code == 404
    be_there(house)
    for body in ({}, {"running": "checkpoint"}, {"running": "finish"}):
        answer = house.client.post(path, json=body)
        assert (answer.status_code, answer.json()["state"]) == (202, "drained")
    assert house.client.post(path, json={"running": "now"}).json()["errors"][0]["pointer"] == "/running"

    async def wish(database: Database, _: Store) -> str | None:
        async with database.transaction() as session:
            return await service.beat(session, Worker(id=ID))

    assert house.work(wish) == "checkpoint"  # what is given back stays so


def test_a_lost_worker_is_not_drained(house: House) -> None:
    be_there(house)

    async def fall_silent(database: Database, _: Store) -> None:
        async with database.transaction() as session:
            await session.execute(update(Worker).values(seen_at=db_now(-house.settings.lease_seconds)))

    house.work(fall_silent)
    assert listed(house)[0]["state"] == "lost"
    assert house.client.post(f"/v1/workers/{ID}/drain").status_code == 409
