"""Webhooks for the worker's tests: made through the services, delivered by a postman in this process."""

import asyncio

from sqlalchemy import select

from app.contract.webhooks import DeliveryState, WebhookCreate
from app.db.tables import Webhook, WebhookDelivery
from app.webhooks import service
from app.webhooks.repository import DeliveryRepository
from tests.worker.conftest import House
from tests.worker.waiting import eventually
from worker import postman

Outcome = list[tuple[str | None, int | None]]


async def make(house: House, url: str, **more: object) -> Webhook:
    wanted = WebhookCreate.model_validate({"url": url, **more})
    async with house.database.transaction() as session:
        return await service.create(session, house.tenant, wanted)


async def send_test(house: House, webhook: Webhook) -> None:
    async with house.database.transaction() as session:
        await service.test(session, house.tenant, webhook.id)


async def cancelled(house: House, count: int = 1) -> list[str]:
    """Return jobs that were just cancelled, which webhooks are told."""
    jobs = await house.submit(count)
    for job_id in jobs:
        await house.cancel(job_id)
    return jobs


async def deliver(house: House) -> int:
    return await postman.deliver(house.database, house.settings, asyncio.Event())


async def deliver_all(house: House) -> None:
    """Deliver until nothing is left that will be tried again."""

    async def nothing_is_open() -> bool:
        await deliver(house)
        async with house.database.reading() as session:
            states = set(await session.scalars(select(WebhookDelivery.state)))
        return not states & {DeliveryState.PENDING, DeliveryState.SENDING}

    await eventually(nothing_is_open, what="the end of all deliveries")


async def sent(house: House, webhook: Webhook) -> list[WebhookDelivery]:
    """Return its deliveries, the oldest first."""
    async with house.database.reading() as session:
        return (await DeliveryRepository(session).page_of(house.tenant, webhook.id, 100, None))[::-1]


async def outcome(house: House, webhook: Webhook) -> Outcome:
    """Return error and status of each try of its last delivery."""
    return [(attempt["error"], attempt["status"]) for attempt in (await sent(house, webhook))[-1].attempts]


async def look_at(house: House, webhook: Webhook) -> Webhook:
    async with house.database.reading() as session:
        return await session.get_one(Webhook, webhook.id)
