"""Who is told of jobs: `client.webhooks`."""

from collections.abc import Iterator, Sequence

from app.contract.resources import Page
from app.contract.webhooks import ENDS, Delivery, DeliveryState, NewWebhook, Webhook, WebhookEvent
from stillhouse import calls
from stillhouse.pages import every, same
from stillhouse.transport import Transport

_PATH = "/v1/webhooks"


class Webhooks:
    """Make, look, change, test; and see what became of what was sent."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, url: str, *, events: Sequence[WebhookEvent | str] = ENDS, name: str | None = None) -> NewWebhook:
        """Have `url` told of jobs; `webhook.secret` verifies what comes, and is never shown again.

        Raises InvalidRequest where the service would not send there, Conflict where the account has too many.
        """
        return self._transport.send(calls.register(_PATH, NewWebhook, url=url, events=list(events), name=name))

    def get(self, webhook: Webhook | str) -> Webhook:
        return self._transport.send(calls.get(_of(webhook), Webhook))

    def list(self) -> Iterator[Webhook]:
        """Yield every webhook, newest first; never their secrets."""
        return every(self._transport, _PATH, Page[Webhook], same)

    def update(
        self,
        webhook: Webhook | str,
        *,
        url: str | None = None,
        events: Sequence[WebhookEvent | str] | None = None,
        name: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is given. Of what happens while it is disabled a webhook is not told."""
        chosen = None if events is None else list(events)
        change = calls.change(_of(webhook), Webhook, url=url, events=chosen, name=name, enabled=enabled)
        return self._transport.send(change)

    def delete(self, webhook: Webhook | str) -> None:
        """Forget it, with all that is on its way there."""
        self._transport.send(calls.delete(_of(webhook)))

    def rotate(self, webhook: Webhook | str, *, grace_seconds: int = 0) -> NewWebhook:
        """Return it with a new secret; the old one signs too for `grace_seconds`."""
        return self._transport.send(calls.rotate(_of(webhook), NewWebhook, grace_seconds))

    def test(self, webhook: Webhook | str) -> Delivery:
        """Send a `webhook.test`, once; `delivery` tells later how it went. Raises Conflict where it is disabled."""
        return self._transport.send(calls.act(f"{_of(webhook)}/test", Delivery))

    def deliveries(self, webhook: Webhook | str, *, state: DeliveryState | str | None = None) -> Iterator[Delivery]:
        """Yield what was sent and what will be, newest first; only what is in this state: `failed`, say."""
        return every(self._transport, f"{_of(webhook)}/deliveries", Page[Delivery], same, state=state)

    def delivery(self, delivery: Delivery) -> Delivery:
        """Return a delivery as it is now."""
        return self._transport.send(calls.get(f"{_of(delivery.webhook)}/deliveries/{delivery.id}", Delivery))

    def replay(self, webhook: Webhook | str, delivery: Delivery | str) -> Delivery:
        """Send an event again, under its id; safe to repeat. Raises Conflict where the webhook is disabled."""
        identity = delivery if isinstance(delivery, str) else delivery.id
        return self._transport.send(calls.act(f"{_of(webhook)}/deliveries/{identity}/replay", Delivery))


def _of(webhook: Webhook | str) -> str:
    return f"{_PATH}/{webhook if isinstance(webhook, str) else webhook.id}"
