"""Whoever dies between a job's end and the receiver: the event arrives, under its id."""

import os
import signal

import pytest
from sqlalchemy import update

from app.contract.webhooks import DeliveryState
from app.db.base import db_now
from app.db.tables import WebhookDelivery
from tests.faults.house import FaultHouse, worker
from tests.receivers import HERE, Receiver, answering, hang, receiving
from tests.servers import Valkey
from tests.worker.mail import make, sent
from tests.worker.training import over
from tests.worker.waiting import eventually
from tests.worker.workers import Worker, alive

pytestmark = pytest.mark.anyio


async def kill_tree(running: Worker) -> None:
    tree = running.processes()
    for pid in tree:
        os.kill(pid, signal.SIGKILL)

    async def gone() -> bool:
        return not any(map(alive, tree))

    await eventually(gone, what="the end of the tree")


@pytest.mark.fault(12)
async def test_a_crash_between_the_end_of_a_job_and_its_webhook(house: FaultHouse, valkey: Valkey) -> None:
    house.settings = house.settings.model_copy(update=HERE)
    with receiving(hang()) as receiver:
        webhook = await make(house, receiver.url)
        [job_id] = await house.simulated(steps=2)
        with worker(house.settings) as distilling:
            await over(house, job_id)
            await kill_tree(distilling)
        valkey.wipe()  # and with it the doorbell
        [delivery] = await sent(house, webhook)
        assert (delivery.state, delivery.type) == (DeliveryState.PENDING, "job.succeeded")
        with worker(house.settings, "housekeeping") as first:
            await eventually(lambda: came(receiver, 1), what="the first try")
            await kill_tree(first)
        await let_its_time_pass(house)
        receiver.behaviour = answering(204)
        with worker(house.settings, "housekeeping"):
            await eventually(lambda: succeeded(house, delivery.id), what="the delivery")
        assert {one.event for one in receiver.came} == {delivery.event_id}
        assert [one.verified(webhook.secret)["data"]["id"] for one in receiver.came] == [job_id, job_id]
        [again] = await sent(house, webhook)
        assert (again.id, again.attempt, len(again.attempts)) == (delivery.id, 2, 1)


async def let_its_time_pass(house: FaultHouse) -> None:
    """The dead sender's try counts as lost a lease after it should have ended."""
    async with house.database.transaction() as session:
        await session.execute(update(WebhookDelivery).values(next_attempt_at=db_now()))


async def came(receiver: Receiver, count: int) -> bool:
    return len(receiver.came) >= count


async def succeeded(house: FaultHouse, delivery_id: str) -> bool:
    async with house.database.reading() as session:
        return (await session.get_one(WebhookDelivery, delivery_id)).state == DeliveryState.SUCCEEDED
