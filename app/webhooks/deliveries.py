"""What a sender does to deliveries: take those that are due, write down what came of each try.

Taking is a compare-and-swap on the number of the try, so no two senders make the same one; a sender that dies leaves
its tries to others once their time is up. So an event is sent at least once, always under the same id.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.webhooks import TEST, DeliveryError, DeliveryState, DisabledBy
from app.db.base import db_now
from app.db.session import doorbells
from app.db.tables import Webhook, WebhookDelivery
from app.queue import Doorbell
from app.settings import Settings
from app.webhooks.repository import DeliveryRepository, WebhookRepository
from app.webhooks.sending import Letter, Tried

OF_A_WEBHOOK, OF_AN_ACCOUNT = 2, 8
"""Tries at once: a receiver that hangs keeps only so many others waiting, and an account's receivers together."""
_KEPT_ATTEMPTS = 12
_JITTER = 0.1
_LONGEST_WAIT = 24 * 3600.0
"""That a receiver may ask for with Retry-After."""


@dataclass(frozen=True)
class Taken:
    """A try that this sender is to make."""

    id: str
    attempt: int
    webhook: str
    tenant: str
    type: str
    failures: int
    """Before this try."""
    attempts: list[dict[str, Any]]
    letter: Letter


async def take(session: AsyncSession, limit: int, at_hand: list[Taken], seconds: float) -> list[Taken]:
    """Take up to `limit` deliveries that are due, for `seconds` each. `at_hand`: what this sender is at already."""
    webhooks, tenants = Counter(one.webhook for one in at_hand), Counter(one.tenant for one in at_hand)
    repository = DeliveryRepository(session)
    taken: list[Taken] = []
    for row, webhook in await repository.due(limit, _full(webhooks, OF_A_WEBHOOK), _full(tenants, OF_AN_ACCOUNT)):
        if webhooks[row.webhook_id] >= OF_A_WEBHOOK or tenants[row.tenant_id] >= OF_AN_ACCOUNT:
            continue
        attempt = await repository.claim(row, seconds)
        if attempt is not None:
            taken.append(_taken(row, webhook, attempt))
            webhooks[row.webhook_id] += 1
            tenants[row.tenant_id] += 1
    return taken


def _full(counts: Mapping[str, int], most: int) -> list[str]:
    return [name for name, count in counts.items() if count >= most]


def _taken(row: WebhookDelivery, webhook: Webhook, attempt: int) -> Taken:
    letter = Letter(webhook.url, row.event_id, row.body.encode(), _keys(webhook))
    return Taken(
        row.id, attempt, row.webhook_id, row.tenant_id, row.type, row.failures, list(row.attempts), letter
    )  # fmt: skip


def _keys(webhook: Webhook) -> list[str]:
    until = webhook.old_secret_until
    old = webhook.old_secret if until and until > datetime.now(UTC) else None
    return [webhook.secret, *([old] if old else [])]


async def conclude(session: AsyncSession, taken: Taken, tried: Tried, settings: Settings) -> DeliveryState | None:
    """Write down what came of a try; return the delivery's state, None where another sender has it by now."""
    error = tried.attempt.error
    values: dict[str, Any] = {"attempts": [*taken.attempts, tried.attempt.model_dump(mode="json")][-_KEPT_ATTEMPTS:]}
    values |= _after(taken, tried, settings.webhook_retry_seconds) if error else _SUCCEEDED
    if not await DeliveryRepository(session).end_try(taken.id, taken.attempt, values):
        return None
    state = DeliveryState(values["state"])
    await _judge(WebhookRepository(session), taken, state, error, settings.webhook_failing_seconds)
    return state


_SUCCEEDED: dict[str, Any] = {"state": DeliveryState.SUCCEEDED.value, "next_attempt_at": None}


def _after(taken: Taken, tried: Tried, schedule: list[float]) -> dict[str, Any]:
    """Return what becomes of a delivery after a try that failed."""
    last = tried.attempt.error is DeliveryError.GONE or taken.type == TEST or taken.failures >= len(schedule)
    failures = {"failures": taken.failures + 1}
    if last:
        return {**failures, "state": DeliveryState.FAILED.value, "next_attempt_at": None}
    wait = schedule[taken.failures] * (1 + _JITTER * random.random())  # noqa: S311 - spreads, hides nothing
    wait = max(wait, min(tried.retry_after or 0.0, _LONGEST_WAIT))
    return {**failures, "state": DeliveryState.PENDING.value, "next_attempt_at": db_now(wait)}


async def _judge(
    webhooks: WebhookRepository, taken: Taken, state: DeliveryState, error: DeliveryError | None, failing_for: float
) -> None:
    """Note how a webhook does, and tell it nothing more where that is of no use."""
    if error is None:
        await webhooks.note_success(taken.webhook)
    elif error is DeliveryError.GONE:
        await webhooks.disable(taken.webhook, DisabledBy.GONE)
    elif taken.type != TEST:
        await webhooks.note_failure(taken.webhook)
        if state is DeliveryState.FAILED:
            await webhooks.disable(taken.webhook, DisabledBy.FAILING, failing_for)


async def ring_again(session: AsyncSession, _seconds: float, _limit: int, pending: int) -> int:
    """Ring once where something is due, a next try mostly, and no ring is `pending`: a sender takes all there is."""
    due = None if pending else await DeliveryRepository(session).any_due()
    if due is None:
        return 0
    doorbells(session).append(Doorbell("deliver", due))
    return 1
