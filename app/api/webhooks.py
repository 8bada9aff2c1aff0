"""/v1/webhooks: where to tell of jobs, and what became of what was told."""

from typing import Annotated

from fastapi import APIRouter, Body, Query, Response

from app.api import render
from app.api.cursor import next_cursor
from app.api.dependencies import Cursor, ExpectedVersion, Limit, LimitsDep, Reading, ReceiversDep, Tenant, Writing
from app.api.parameters import DeliveryId, SpareWebhookId, WebhookId
from app.api.responses import errors
from app.contract.resources import Page
from app.contract.webhooks import (
    Delivery,
    DeliveryState,
    NewWebhook,
    Webhook,
    WebhookChange,
    WebhookCreate,
    WebhookRotation,
)
from app.samples.service import RECEIVER
from app.webhooks import service
from app.webhooks.repository import DeliveryRepository, WebhookRepository

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
_NEW = {"ends": {"summary": "Every end of a job", "value": {"url": RECEIVER, "name": "lab"}}}
_CHANGE = {"events": {"summary": "Only what expires", "value": {"events": ["job.expired"]}}}
_ROTATION = {"grace": {"summary": "The old one signs too for an hour", "value": {"grace_seconds": 3600}}}
_AT_ONCE = WebhookRotation()


@router.post("", status_code=201, summary="Make a webhook", responses=errors(400, 409, 413, 422))
async def create_webhook(
    wanted: Annotated[WebhookCreate, Body(openapi_examples=_NEW)],
    tenant: Tenant,
    receivers: ReceiversDep,
    limits: LimitsDep,
    session: Writing,
    response: Response,
) -> NewWebhook:
    """Have a receiver of yours told of your jobs, by a signed POST (Standard Webhooks). `secret` is shown this once.

    422 where the URL leads to an address that is not on the public internet; it is looked at again at each delivery.
    Not to be repeated under an Idempotency-Key: the answer would have to be stored, and the secret with it.
    """
    await receivers.check(wanted.url)
    response.headers["Cache-Control"] = "no-store"
    return render.new_webhook(await service.create(session, tenant, wanted, limits))


@router.get("", summary="List webhooks", responses=errors(400, 422))
async def list_webhooks(tenant: Tenant, session: Reading, limit: Limit = 20, cursor: Cursor = None) -> Page[Webhook]:
    """Webhooks, newest first, those that are disabled too; never their secrets."""
    rows = await WebhookRepository(session).page(tenant, limit + 1, cursor)
    more, following = next_cursor(rows, limit)
    return Page(data=[render.webhook(row) for row in rows[:limit]], has_more=more, next_cursor=following)


@router.get("/{webhook_id}", summary="Show a webhook", responses=errors(404))
async def get_webhook(webhook_id: WebhookId, tenant: Tenant, session: Reading, response: Response) -> Webhook:
    """Where it leads, of what it is told, and whether that goes well; never its secret."""
    row = await service.get(session, tenant, webhook_id)
    response.headers["ETag"] = f'"{row.version}"'
    return render.webhook(row)


@router.patch("/{webhook_id}", summary="Change a webhook", responses=errors(400, 404, 412, 413, 422))
async def update_webhook(
    webhook_id: WebhookId,
    wanted: Annotated[WebhookChange, Body(openapi_examples=_CHANGE)],
    tenant: Tenant,
    receivers: ReceiversDep,
    session: Writing,
    response: Response,
    expected: ExpectedVersion,
) -> Webhook:
    """Change URL, events or name; disable it, or enable it again: of what happens meanwhile it is not told."""
    if wanted.url:
        await receivers.check(wanted.url)
    row = await service.change(session, tenant, webhook_id, wanted, expected)
    response.headers["ETag"] = f'"{row.version}"'
    return render.webhook(row)


@router.delete("/{webhook_id}", status_code=204, summary="Delete a webhook", responses=errors(404))
async def delete_webhook(webhook_id: SpareWebhookId, tenant: Tenant, session: Writing) -> None:
    """Forget a webhook, with its deliveries, those too that are on their way."""
    await service.delete(session, tenant, webhook_id)


@router.post("/{webhook_id}/rotate", summary="Replace a webhook's secret", responses=errors(400, 404, 409, 413, 422))
async def rotate_webhook_secret(
    webhook_id: WebhookId,
    tenant: Tenant,
    session: Writing,
    response: Response,
    wanted: Annotated[WebhookRotation, Body(openapi_examples=_ROTATION)] = _AT_ONCE,
) -> NewWebhook:
    """Give a webhook a new secret, shown this once. During the grace time the old one signs too."""
    response.headers["Cache-Control"] = "no-store"
    return render.new_webhook(await service.rotate(session, tenant, webhook_id, wanted.grace_seconds))


@router.post("/{webhook_id}/test", status_code=202, summary="Test a webhook", responses=errors(404, 409))
async def test_webhook(webhook_id: WebhookId, tenant: Tenant, session: Writing) -> Delivery:
    """Send a `webhook.test`, once; see under its deliveries how it went. 409 where the webhook is disabled."""
    return render.delivery(await service.test(session, tenant, webhook_id))


@router.get("/{webhook_id}/deliveries", summary="List deliveries", responses=errors(400, 404, 422))
async def list_deliveries(
    webhook_id: WebhookId,
    tenant: Tenant,
    session: Reading,
    state: Annotated[DeliveryState | None, Query(description="Only those in this state")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[Delivery]:
    """What was sent to a webhook and what will be, newest first, each with its last tries."""
    await service.get(session, tenant, webhook_id)
    rows = await DeliveryRepository(session).page_of(tenant, webhook_id, limit + 1, cursor, state)
    more, following = next_cursor(rows, limit)
    return Page(data=[render.delivery(row) for row in rows[:limit]], has_more=more, next_cursor=following)


@router.get("/{webhook_id}/deliveries/{delivery_id}", summary="Show a delivery", responses=errors(404))
async def get_delivery(webhook_id: WebhookId, delivery_id: DeliveryId, tenant: Tenant, session: Reading) -> Delivery:
    """What is sent, how it goes, and what to do where it does not."""
    return render.delivery(await service.delivery(session, tenant, webhook_id, delivery_id))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    summary="Send an event again",
    responses=errors(404, 409),
)
async def replay_delivery(webhook_id: WebhookId, delivery_id: DeliveryId, tenant: Tenant, session: Writing) -> Delivery:
    """Send what was sent before, or could not be, once more under the same `webhook-id`, with all its tries.

    Safe to repeat: one that is on its way is left alone. 409 where the webhook is disabled.
    """
    return render.delivery(await service.replay(session, tenant, webhook_id, delivery_id))
