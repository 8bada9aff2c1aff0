"""The rules of webhooks, as their owners see them."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import Conflict, NotFound, PreconditionFailed
from app.contract.limits import Limits
from app.contract.webhooks import DeliveryState, DisabledBy, WebhookChange, WebhookCreate
from app.db.base import db_now, new_id
from app.db.owned import change as change_row
from app.db.tables import Webhook, WebhookDelivery
from app.limits.service import NONE, admit_webhook
from app.webhooks import outbox, signing
from app.webhooks.repository import DeliveryRepository, WebhookRepository


async def create(session: AsyncSession, tenant: str, wanted: WebhookCreate, limits: Limits = NONE) -> Webhook:
    """Make a webhook, with a secret. Raises QuotaExceeded where the account has as many as it may."""
    await admit_webhook(session, tenant, limits)
    row = Webhook(
        id=new_id("whk"),
        tenant_id=tenant,
        name=wanted.name,
        url=wanted.url,
        events=[event.value for event in dict.fromkeys(wanted.events)],
        secret=signing.new_secret(),
    )
    await WebhookRepository(session).add(row)
    await session.refresh(row)
    return row


async def get(session: AsyncSession, tenant: str, webhook_id: str) -> Webhook:
    """Return a webhook. Raises NotFound."""
    found = await WebhookRepository(session).get(tenant, webhook_id)
    if found is None:
        raise NotFound(f"there is no webhook {webhook_id}")
    return found


async def change(
    session: AsyncSession, tenant: str, webhook_id: str, wanted: WebhookChange, expected: int | None
) -> Webhook:
    """Change what is given. Raises NotFound, and PreconditionFailed where it is not the expected version."""
    row = await get(session, tenant, webhook_id)
    if not await change_row(session, row, row.version if expected is None else expected, **_values(wanted)):
        raise PreconditionFailed("the webhook has changed since that version")
    if wanted.enabled:
        outbox.ring(session, row.id)  # for what waited meanwhile
    return row


def _values(wanted: WebhookChange) -> dict[str, Any]:
    values = wanted.model_dump(mode="json", exclude_none=True)
    if wanted.enabled is True:
        values |= {"disabled_by": None, "failing_since": None}
    if wanted.enabled is False:
        values |= {"disabled_by": DisabledBy.USER.value}
    return values


async def rotate(session: AsyncSession, tenant: str, webhook_id: str, grace: float) -> Webhook:
    """Give it a new secret; the old one signs too for `grace` seconds. Raises NotFound."""
    row = await get(session, tenant, webhook_id)
    old = {"old_secret": row.secret, "old_secret_until": db_now(grace)} if grace else _NO_OLD_SECRET
    if not await change_row(session, row, row.version, secret=signing.new_secret(), **old):
        raise Conflict("the webhook was changed in the meantime; try again")
    return row


_NO_OLD_SECRET: dict[str, Any] = {"old_secret": None, "old_secret_until": None}


async def delete(session: AsyncSession, tenant: str, webhook_id: str) -> None:
    """Delete it with all that is on its way there. Raises NotFound."""
    await session.delete(await get(session, tenant, webhook_id))
    await session.flush()


async def test(session: AsyncSession, tenant: str, webhook_id: str) -> WebhookDelivery:
    """Send something now, once; a test that is on its way is enough. Raises NotFound, Conflict where it is disabled."""
    webhook = _told(await get(session, tenant, webhook_id))
    on_its_way = await DeliveryRepository(session).open_test(webhook.id)
    return on_its_way or await outbox.announce_test(session, webhook)


async def delivery(session: AsyncSession, tenant: str, webhook_id: str, delivery_id: str) -> WebhookDelivery:
    """Return a delivery. Raises NotFound."""
    await get(session, tenant, webhook_id)
    found = await DeliveryRepository(session).get(tenant, delivery_id)
    if found is None or found.webhook_id != webhook_id:
        raise NotFound(f"there is no delivery {delivery_id} of the webhook {webhook_id}")
    return found


async def replay(session: AsyncSession, tenant: str, webhook_id: str, delivery_id: str) -> WebhookDelivery:
    """Send an event again, under its id; one that is on its way is left alone.

    Raises NotFound, Conflict where the webhook is disabled.
    """
    row = await delivery(session, tenant, webhook_id, delivery_id)
    _told(await get(session, tenant, webhook_id))
    if row.state in {DeliveryState.SUCCEEDED, DeliveryState.FAILED}:
        await DeliveryRepository(session).send_again(row.id)
        await session.refresh(row)
        outbox.ring(session, row.id)
    return row


def _told(webhook: Webhook) -> Webhook:
    if not webhook.enabled:
        raise Conflict("the webhook is disabled: enable it first")
    return webhook
