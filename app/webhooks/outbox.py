"""What happens to jobs, written down for webhooks in the very transaction in which it happens: nothing is lost."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.states import JobState
from app.contract.webhooks import EVENT_OF, TEST, DeliveryState, JobTold, TestTold, Told
from app.db.base import db_now, new_id
from app.db.session import doorbells
from app.db.tables import Job, Webhook, WebhookDelivery
from app.queue import Doorbell
from app.webhooks.repository import DeliveryRepository, WebhookRepository


async def announce(session: AsyncSession, job: Job, state: JobState) -> None:
    """Write down for every webhook that wants to know that the job has got into this state. `job`: as it is now."""
    event = EVENT_OF.get(state)
    if event is None:
        return
    listening = await WebhookRepository(session).listening(job.tenant_id)
    told = [webhook for webhook in listening if event in webhook.events]
    if told:
        event_id, body = new_id("evt"), _body(event, _of_job(job))
        await _put(session, [_delivery(webhook, event_id, event, body) for webhook in told])


async def announce_test(session: AsyncSession, webhook: Webhook) -> WebhookDelivery:
    row = _delivery(webhook, new_id("evt"), TEST, _body(TEST, TestTold(webhook=webhook.id)))
    await _put(session, [row])
    await session.refresh(row)
    return row


async def _put(session: AsyncSession, rows: list[WebhookDelivery]) -> None:
    await DeliveryRepository(session).add_all(rows)
    ring(session, rows[0].id)


def ring(session: AsyncSession, delivery_id: str) -> None:
    doorbells(session).append(Doorbell("deliver", delivery_id))


def _delivery(webhook: Webhook, event_id: str, kind: str, body: str) -> WebhookDelivery:
    return WebhookDelivery(
        id=new_id("dlv"),
        tenant_id=webhook.tenant_id,
        webhook_id=webhook.id,
        event_id=event_id,
        type=kind,
        body=body,
        state=DeliveryState.PENDING.value,
        next_attempt_at=db_now(),
    )


def _body(kind: str, data: JobTold | TestTold) -> str:
    return Told(type=kind, timestamp=datetime.now(UTC), data=data).model_dump_json()


def _of_job(job: Job) -> JobTold:
    path = f"/v1/jobs/{job.id}"
    links = {"job": path}
    if job.state == JobState.SUCCEEDED:
        links |= {"student": f"{path}/student", "report": f"{path}/report"}
    same = ("id", "name", "state", "attempt", "stop_reason", "failure_code")
    return JobTold.model_validate({**{name: getattr(job, name) for name in same}, "links": links})
