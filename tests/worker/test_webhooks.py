"""Webhooks are delivered once, signed, in time, and again where that failed; whatever their receivers do."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from standardwebhooks.exceptions import WebhookVerificationError

from app.contract.states import JobState
from app.contract.webhooks import Attempt, DeliveryError, DeliveryState, DisabledBy, WebhookChange, WebhookEvent
from app.db.base import db_now
from app.db.tables import Job, WebhookDelivery
from app.jobs.gate import transition
from app.webhooks import deliveries, service
from app.webhooks.sending import Tried
from tests.receivers import HERE, Receiver, answering, drip, flood, hang, in_turn, receiving
from tests.worker.conftest import House
from tests.worker.mail import cancelled, deliver, deliver_all, look_at, make, outcome, send_test, sent
from tests.worker.waiting import eventually
from tests.worker.workers import worker
from worker import errands, postman

pytestmark = pytest.mark.anyio
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
QUICK = {**HERE, "webhook_retry_seconds": [0.05, 0.05]}


@pytest.fixture
def house(house: House) -> House:
    """A service that may send to this host, and is quick to try again."""
    house.settings = house.settings.model_copy(update=QUICK)
    return house


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


async def test_an_event_is_signed_as_the_standard_says(house: House, receiver: Receiver) -> None:
    webhook = await make(house, receiver.url)
    [job_id] = await cancelled(house)
    assert await deliver(house) == 1
    [came] = receiver.came
    payload = came.verified(webhook.secret)
    assert (payload["type"], payload["data"]["id"], payload["data"]["state"]) == ("job.cancelled", job_id, "cancelled")
    assert (came.path, came.headers["content-type"]) == ("/hook", "application/json")
    assert came.headers["host"] == f"127.0.0.1:{receiver.port}"
    with pytest.raises(WebhookVerificationError):
        came.verified("whsec_" + "A" * 40)
    [delivery] = await sent(house, webhook)
    assert (delivery.state, delivery.event_id, delivery.next_attempt_at) == ("succeeded", came.event, None)
    assert await outcome(house, webhook) == [(None, 204)]
    assert await deliver(house) == 0


@SQLITE
async def test_everything_that_may_be_told_is_told(house: House, receiver: Receiver) -> None:
    await make(house, receiver.url, events=list(WebhookEvent))
    working = [JobState.STARTING, JobState.RUNNING]
    ways = [
        [*working, JobState.FINALIZING, JobState.SUCCEEDED],
        [*working, JobState.FAILED],
        [*working, JobState.CANCELLING, JobState.CANCELLED],
        [JobState.PAUSED, JobState.EXPIRED],
    ]
    for job_id, states in zip(await house.submit(len(ways)), ways, strict=True):
        async with house.database.transaction() as session:
            job = await session.get_one(Job, job_id)
            for state in states:
                await transition(session, job, state)
    await deliver_all(house)
    told = [json.loads(came.body) for came in receiver.came]
    assert Counter(one["type"] for one in told) == {**dict.fromkeys(WebhookEvent, 1), "job.started": 3}
    [success] = [one["data"] for one in told if one["type"] == "job.succeeded"]
    assert success["links"]["student"] == f"/v1/jobs/{success['id']}/student"


@SQLITE
async def test_what_is_rolled_back_is_not_told(house: House, receiver: Receiver) -> None:
    webhook = await make(house, receiver.url)
    [job_id] = await house.submit()

    async def begin_and_break_off() -> None:
        async with house.database.transaction() as session:
            await transition(session, await session.get_one(Job, job_id), JobState.CANCELLED)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await begin_and_break_off()
    assert await sent(house, webhook) == []


async def test_what_failed_is_tried_again_under_the_same_id(house: House, receiver: Receiver) -> None:
    bad = answering(500, b"\0\xff" + b"sorry" * 1000)  # NUL is nothing that PostgreSQL keeps in JSON
    receiver.behaviour = in_turn(bad, bad, answering(200, b"ok"))
    webhook = await make(house, receiver.url)
    await cancelled(house)
    await deliver_all(house)
    assert await outcome(house, webhook) == [("refused", 500), ("refused", 500), (None, 200)]
    assert len({came.event for came in receiver.came}) == 1
    [delivery] = await sent(house, webhook)
    assert (delivery.state, delivery.attempts[0]["answer"][:7]) == (DeliveryState.SUCCEEDED, "\ufffd\ufffdsorry")
    assert len(delivery.attempts[0]["answer"]) == 1024
    assert (await look_at(house, webhook)).failing_since is None


@SQLITE
async def test_in_the_end_it_has_failed_and_can_be_replayed(house: House, receiver: Receiver) -> None:
    receiver.behaviour = answering(404)
    webhook = await make(house, receiver.url)
    await cancelled(house)
    await deliver_all(house)
    assert await outcome(house, webhook) == [("refused", 404)] * 3
    [delivery] = await sent(house, webhook)
    assert (delivery.state, delivery.next_attempt_at) == (DeliveryState.FAILED, None)
    found = await look_at(house, webhook)
    assert found.enabled
    assert found.failing_since  # not for long
    receiver.behaviour = answering(204)
    async with house.database.transaction() as session:
        await service.replay(session, house.tenant, webhook.id, delivery.id)
    await deliver_all(house)
    assert await outcome(house, webhook) == [("refused", 404)] * 3 + [(None, 204)]
    assert len({came.event for came in receiver.came}) == 1


@SQLITE
async def test_a_webhook_that_fails_for_too_long_is_disabled(house: House, receiver: Receiver) -> None:
    house.settings = house.settings.model_copy(update={"webhook_failing_seconds": 0})
    receiver.behaviour = answering(500)
    webhook = await make(house, receiver.url)
    await send_test(house, webhook)  # which is tried once, and says nothing of others
    await deliver_all(house)
    assert (await look_at(house, webhook)).enabled
    await cancelled(house)
    await deliver_all(house)
    found = await look_at(house, webhook)
    assert (found.enabled, found.disabled_by) == (False, DisabledBy.FAILING)
    await cancelled(house)
    assert len(await sent(house, webhook)) == 2
    async with house.database.transaction() as session:
        enabled = await service.change(session, house.tenant, webhook.id, WebhookChange(enabled=True), None)
    assert (enabled.enabled, enabled.disabled_by, enabled.failing_since) == (True, None, None)


@SQLITE
async def test_a_receiver_that_is_gone_is_told_nothing_more(house: House, receiver: Receiver) -> None:
    receiver.behaviour = answering(410)
    webhook = await make(house, receiver.url)
    await cancelled(house)
    await deliver_all(house)
    assert await outcome(house, webhook) == [("gone", 410)]
    found = await look_at(house, webhook)
    assert (found.enabled, found.disabled_by) == (False, DisabledBy.GONE)


@SQLITE
async def test_a_disabled_webhooks_deliveries_wait_for_it(house: House, receiver: Receiver) -> None:
    webhook = await make(house, receiver.url)
    await cancelled(house)
    for enabled in (False, True):
        async with house.database.transaction() as session:
            await service.change(session, house.tenant, webhook.id, WebhookChange(enabled=enabled), None)
        assert await deliver(house) == enabled
    assert len(receiver.came) == 1


@SQLITE
async def test_a_receiver_may_ask_for_time(house: House, receiver: Receiver) -> None:
    receiver.behaviour = answering(503, Retry_After="3600")
    webhook = await make(house, receiver.url)
    await cancelled(house)
    assert await deliver(house) == 1
    [delivery] = await sent(house, webhook)
    assert delivery.next_attempt_at
    assert delivery.next_attempt_at - datetime.now(UTC) > timedelta(minutes=50)


@SQLITE
async def test_both_secrets_sign_during_a_rotation(house: House, receiver: Receiver) -> None:
    webhook = await make(house, receiver.url)
    secrets = [webhook.secret]
    for grace in (60, 0):
        async with house.database.transaction() as session:
            secrets.append((await service.rotate(session, house.tenant, webhook.id, grace)).secret)
        await send_test(house, webhook)
        await deliver(house)
    during, after = receiver.came
    assert during.verified(secrets[0]) == during.verified(secrets[1])
    assert after.verified(secrets[2])["type"] == "webhook.test"
    with pytest.raises(WebhookVerificationError):
        after.verified(secrets[1])


async def test_two_hosts_send_each_event_once(house: House, receiver: Receiver, tmp_path: Path) -> None:
    for _ in range(3):
        await make(house, receiver.url)
    await cancelled(house, 4)
    hosts = [house.settings.model_copy(update={"data": tmp_path / name}) for name in ("north", "south", "south")]
    made = await asyncio.gather(*(postman.deliver(house.database, one, asyncio.Event()) for one in hosts))
    assert sum(made) == len(receiver.came) == 12
    assert set(Counter(came.event for came in receiver.came).values()) == {3}


@SQLITE
async def test_what_a_dead_sender_had_is_sent_by_another(house: House, receiver: Receiver) -> None:
    webhook = await make(house, receiver.url)
    await cancelled(house)
    async with house.database.transaction() as session:
        [taken] = await deliveries.take(session, 9, [], 60)
    assert await deliver(house) == 0  # it may still live
    async with house.database.transaction() as session:
        await session.execute(update(WebhookDelivery).values(next_attempt_at=db_now(-1)))
    assert await deliver(house) == 1
    late = Tried(Attempt(time=datetime.now(UTC), seconds=1, status=None, error=DeliveryError.TIMED_OUT))
    async with house.database.transaction() as session:
        assert await deliveries.conclude(session, taken, late, house.settings) is None
    assert await outcome(house, webhook) == [(None, 204)]


@pytest.mark.owasp(10)
@SQLITE
async def test_receivers_that_hang_keep_no_others_waiting(house: House, receiver: Receiver) -> None:
    with receiving(hang()) as slow:
        webhook = await make(house, slow.url)
        await cancelled(house, 5)
        stop = asyncio.Event()
        sending = asyncio.create_task(postman.deliver(house.database, house.settings, stop))
        await eventually(lambda: _came(slow, deliveries.OF_A_WEBHOOK), what="the first tries")
        await make(house, receiver.url)
        await cancelled(house)
        assert await deliver(house) == 0  # one postman a host; the one at work looks around
        await eventually(lambda: _came(receiver, 1), what="the delivery to another")
        assert len(slow.came) == deliveries.OF_A_WEBHOOK
        assert [one.attempts for one in await sent(house, webhook)] == [[]] * 6
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def _hung_up(receiver: Receiver) -> bool:
    return receiver.hung_up_on == 1


async def _came(receiver: Receiver, count: int) -> bool:
    return len(receiver.came) >= count


@pytest.mark.owasp(10)
@SQLITE
async def test_what_a_receiver_answers_is_bounded(house: House) -> None:
    """OWASP API 10: 5 GB, a head that never ends, silence, nothing like HTTP."""
    ends = {
        flood(5 * 2**30): (15.0, (None, 200)),
        drip: (1.0, ("timed_out", None)),
        hang(): (1.0, ("timed_out", None)),
        _babble: (15.0, ("no_http", None)),
    }
    for behaviour, (seconds, expected) in ends.items():
        house.settings = house.settings.model_copy(update={"webhook_seconds": seconds})
        with receiving(behaviour) as bad:
            webhook = await make(house, bad.url)
            await send_test(house, webhook)
            await deliver(house)
            assert await outcome(house, webhook) == [expected]
            [delivery] = await sent(house, webhook)
            assert len(delivery.attempts[0]["answer"]) <= 1024
            if behaviour is not _babble:
                await eventually(lambda: _hung_up(bad), what="the end of the connection")


def _babble(handler: object) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")  # type: ignore[attr-defined]
    handler.close_connection = True  # type: ignore[attr-defined]


@SQLITE
async def test_nobody_there_is_an_error_that_says_so(house: House) -> None:
    with receiving() as gone:
        webhook = await make(house, gone.url)
    await send_test(house, webhook)
    await deliver(house)
    assert await outcome(house, webhook) == [("connection_failed", None)]


@POSTGRESQL
async def test_a_webhook_that_is_deleted_meanwhile_does_not_keep_a_job_from_its_end(house: House) -> None:
    webhook = await make(house, "https://[2000::1]/")
    [job_id] = await house.submit()
    async with house.database.transaction() as session:
        await service.delete(session, house.tenant, webhook.id)
        ending = asyncio.create_task(house.cancel(job_id))
        await asyncio.wait({ending}, timeout=0.3)  # it waits for what becomes of the webhook
    await ending
    assert (await house.job(job_id)).state == JobState.CANCELLED


@SQLITE
async def test_old_deliveries_are_removed(house: House, receiver: Receiver) -> None:
    webhook = await make(house, receiver.url)
    await send_test(house, webhook)
    await errands.sweep_up(house.settings)
    assert len(await sent(house, webhook)) == 1
    async with house.database.transaction() as session:
        await session.execute(update(WebhookDelivery).values(created_at=db_now(-31 * 24 * 3600)))
    await errands.sweep_up(house.settings)
    assert await sent(house, webhook) == []


@SQLITE
async def test_a_housekeeping_worker_sends_at_once_and_tries_again(house: House, receiver: Receiver) -> None:
    receiver.behaviour = in_turn(answering(500), answering(204))
    webhook = await make(house, receiver.url)
    with worker(house.settings, "housekeeping") as running:
        await cancelled(house)
        await eventually(lambda: _came(receiver, 2), what="the second try")
        await eventually(lambda: _is(house, webhook, DeliveryState.SUCCEEDED), what="the note of it")
        assert "refused, try 1" in running.said()
        assert receiver.url not in running.said()  # it may hold a secret


async def _is(house: House, webhook: object, state: DeliveryState) -> bool:
    return [one.state for one in await sent(house, webhook)] == [state]  # type: ignore[arg-type]
