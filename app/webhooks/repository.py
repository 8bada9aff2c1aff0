"""Every SQL statement about webhooks and what is on its way to them."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, select, update

from app.contract.webhooks import TEST, DeliveryState, DisabledBy
from app.db.base import db_now
from app.db.owned import OwnedRepository
from app.db.tables import Webhook, WebhookDelivery

_OPEN = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)


class WebhookRepository(OwnedRepository[Webhook]):
    table = Webhook

    async def listening(self, tenant: str) -> list[Webhook]:
        """Return those that are told, and keep them from being deleted until this transaction ends."""
        query = select(Webhook).where(Webhook.tenant_id == tenant, Webhook.enabled).order_by(Webhook.id)
        return list(await self.session.scalars(query.with_for_update(read=True, key_share=True)))

    async def note_failure(self, webhook_id: str) -> None:
        """Remember since when tries fail."""
        well = update(Webhook).where(Webhook.id == webhook_id, Webhook.failing_since.is_(None))
        await self.session.execute(well.values(failing_since=db_now()))

    async def note_success(self, webhook_id: str) -> None:
        failing = update(Webhook).where(Webhook.id == webhook_id, Webhook.failing_since.is_not(None))
        await self.session.execute(failing.values(failing_since=None))

    async def disable(self, webhook_id: str, why: DisabledBy, failing_for: float = 0.0) -> bool:
        """Tell it nothing more; with `failing_for` only where no try went well for so long. Return whether it is so."""
        mine = update(Webhook).where(Webhook.id == webhook_id, Webhook.enabled)
        if why is DisabledBy.FAILING:
            mine = mine.where(Webhook.failing_since <= db_now(-failing_for))
        values = {"enabled": False, "disabled_by": why.value, "version": Webhook.version + 1}
        return (await self.session.execute(mine.values(values).returning(Webhook.id))).scalar_one_or_none() is not None


class DeliveryRepository(OwnedRepository[WebhookDelivery]):
    table = WebhookDelivery

    async def page_of(
        self, tenant: str, webhook_id: str, limit: int, before: str | None, state: DeliveryState | None = None
    ) -> list[WebhookDelivery]:
        """Return up to `limit` deliveries to a webhook, newest first, older than the id `before`."""
        chosen = [WebhookDelivery.webhook_id == webhook_id]
        chosen += [WebhookDelivery.state == state.value] if state else []
        return await self.page(tenant, limit, before, *chosen)

    async def add_all(self, rows: Sequence[WebhookDelivery]) -> None:
        self.session.add_all(rows)
        await self.session.flush()

    async def open_test(self, webhook_id: str) -> WebhookDelivery | None:
        """Return the test of a webhook that is still on its way."""
        mine = (WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.type == TEST)
        query = select(WebhookDelivery).where(*mine, WebhookDelivery.state.in_(_OPEN)).limit(1)
        return (await self.session.scalars(query)).first()

    async def due(
        self, limit: int, busy_webhooks: Collection[str] = (), busy_tenants: Collection[str] = ()
    ) -> list[tuple[WebhookDelivery, Webhook]]:
        """Return what is to be sent now, the longest due first; nothing of those that are busy enough."""
        query = select(WebhookDelivery, Webhook).join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        query = query.where(_due(), Webhook.enabled, WebhookDelivery.webhook_id.not_in(busy_webhooks))
        query = query.where(WebhookDelivery.tenant_id.not_in(busy_tenants))
        query = query.order_by(WebhookDelivery.next_attempt_at, WebhookDelivery.id).limit(limit)
        return [(row[0], row[1]) for row in await self.session.execute(query)]

    async def any_due(self) -> str | None:
        """Return the id of a delivery that is to be sent now."""
        found = await self.due(1)
        return found[0][0].id if found else None

    async def claim(self, delivery: WebhookDelivery, seconds: float) -> int | None:
        """Begin a try; return its number, or None where another sender was faster."""
        mine = and_(WebhookDelivery.attempt == delivery.attempt, _due())
        values = {"state": DeliveryState.SENDING.value, "attempt": delivery.attempt + 1}
        return await self._swap(delivery.id, mine, {**values, "next_attempt_at": db_now(seconds)})

    async def end_try(self, delivery_id: str, attempt: int, values: dict[str, Any]) -> bool:
        """Write what came of a try; False where another sender has the delivery by now."""
        mine = and_(WebhookDelivery.attempt == attempt, WebhookDelivery.state == DeliveryState.SENDING.value)
        return await self._swap(delivery_id, mine, values) is not None

    async def send_again(self, delivery_id: str) -> None:
        """Have a delivery that has ended be sent once more, with all its tries."""
        ended = WebhookDelivery.state.not_in(_OPEN)
        values = {"state": DeliveryState.PENDING.value, "failures": 0, "next_attempt_at": db_now()}
        await self._swap(delivery_id, ended, values)

    async def _swap(self, delivery_id: str, where: ColumnElement[bool], values: dict[str, Any]) -> int | None:
        mine = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id, where)
        changed = await self.session.execute(mine.values(values).returning(WebhookDelivery.attempt))
        return changed.scalar_one_or_none()


def _due() -> ColumnElement[bool]:
    return and_(WebhookDelivery.state.in_(_OPEN), WebhookDelivery.next_attempt_at <= db_now())
