"""Sample resources, so that every example in Swagger UI runs: Fisher's irises, a teacher of them, four jobs, a webhook.

They appear when the OpenAPI document is first asked for, under ids that never change. The files were made by
`examples/make_samples.py`. What has a *spare* is there to be deleted or cancelled. The webhook leads nowhere: its host
has a name that nobody can have (RFC 6761), so nothing leaves this installation unasked.
"""

import base64
from pathlib import Path
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.architectures import Mlp
from app.contract.objectives import HardTarget, SoftTarget
from app.contract.schedules import Cosine
from app.contract.spec import JobSpec
from app.contract.states import InspectionState
from app.contract.students import Student
from app.contract.training import AdamW, Training
from app.contract.transfer import Splits, Tensors
from app.contract.webhooks import TEST, DeliveryState, WebhookEvent
from app.db.base import DEFAULT_TENANT, db_now
from app.db.session import Database, doorbells
from app.db.tables import Dataset, File, Job, Model, Upload, Webhook, WebhookDelivery
from app.jobs import service as jobs
from app.jobs import wishes
from app.jobs.leases import artifact_id
from app.queue import Doorbell
from app.store import Store
from app.webhooks import signing


def _id(prefix: str, number: int) -> str:
    return f"{prefix}_0000000000007000800000000000{number:04x}"


TEACHER_FILE, DATA_FILE, SPARE_FILE = (_id("file", number) for number in (1, 2, 3))
UPLOAD, SPARE_UPLOAD = _id("upl", 1), _id("upl", 2)
MODEL, SPARE_MODEL = _id("mdl", 1), _id("mdl", 2)
DATASET, SPARE_DATASET = _id("ds", 1), _id("ds", 2)
JOB, SPARE_JOB, CANCELLED_JOB, PAUSED_JOB = (_id("job", number) for number in (1, 2, 3, 4))
WEBHOOK, SPARE_WEBHOOK = _id("whk", 1), _id("whk", 2)
DELIVERY = _id("dlv", 1)
RECEIVER = "https://receiver.invalid/stillhouse"
ARTIFACT = artifact_id(JOB, "report", "report.json")
SIZE = Path(__file__).with_name("teacher.safetensors").stat().st_size
DESCRIBED = f"filename {base64.b64encode(b'iris-teacher.safetensors').decode()}"
"""Upload-Metadata of the sample uploads."""
_TEACHER = Mlp(inputs=4, hidden=(32,), classes=3)
_STUDENT = Mlp(inputs=4, hidden=(4,), classes=3)


def spec(name: str = "Irises, from 32 hidden units to 4") -> JobSpec:
    """Return the sample job's spec."""
    return JobSpec(
        name=name,
        teacher=MODEL,
        student=Student(architecture=_STUDENT),
        transfer_set=DATASET,
        objective=(SoftTarget(weight=0.9, temperature=2.0), HardTarget(weight=0.1)),
        training=Training(epochs=60, batch_size=16, optimizer=AdamW(learning_rate=Cosine(start=0.03))),
        labels={"sample": "iris"},
    )


async def ensure(database: Database, store: Store, max_parameters: int) -> None:
    """Put the samples there that are missing."""
    async with database.reading() as session:
        present = [await session.get(Job, job_id) for job_id in (JOB, PAUSED_JOB)]
        delivery = await session.get(WebhookDelivery, DELIVERY)
    if all(present) and delivery:
        return
    teacher, data = await _put(store, "teacher.safetensors"), await _put(store, "transfer_set.safetensors")
    try:
        async with database.transaction() as session:
            await _add_files(session, teacher, data)
            await _add_registered(session)
            await _add_jobs(session, max_parameters)
            await _add_webhooks(session)
    except IntegrityError:  # another process was faster
        return


async def _put(store: Store, name: str) -> dict[str, Any]:
    blob = await store.put_file(Path(__file__).with_name(name))
    return {"name": f"iris-{name}", "size": blob.size, "sha256": blob.sha256, "tenant_id": DEFAULT_TENANT}


async def _add_files(session: AsyncSession, teacher: dict[str, Any], data: dict[str, Any]) -> None:
    for row in (File(id=TEACHER_FILE, **teacher), File(id=DATA_FILE, **data), File(id=SPARE_FILE, **data)):
        await session.merge(row)
    for upload_id in (UPLOAD, SPARE_UPLOAD):
        await session.merge(_upload(upload_id, teacher["name"]))
    await session.flush()


def _upload(upload_id: str, name: str) -> Upload:
    ten_years = db_now(3650 * 24 * 3600)
    return Upload(
        id=upload_id, tenant_id=DEFAULT_TENANT, name=name, size=SIZE, described=DESCRIBED, expires_at=ten_years
    )


async def _add_registered(session: AsyncSession) -> None:
    uploaded = {"tenant_id": DEFAULT_TENANT, "state": InspectionState.UPLOADED.value}
    for model_id, name in ((MODEL, "iris teacher"), (SPARE_MODEL, "iris teacher (spare)")):
        architecture = _TEACHER.model_dump(mode="json")
        await _add_missing(
            session, Model(id=model_id, name=name, file_id=TEACHER_FILE, architecture=architecture, **uploaded)
        )
    described = {"format": Tensors().model_dump(), "splits": Splits().model_dump()}
    for dataset_id, name in ((DATASET, "irises"), (SPARE_DATASET, "irises (spare)")):
        await _add_missing(session, Dataset(id=dataset_id, name=name, file_id=DATA_FILE, **described, **uploaded))
    await session.flush()


async def _add_missing(session: AsyncSession, row: Model | Dataset) -> None:
    if await session.get(type(row), row.id) is None:
        session.add(row)
        doorbells(session).append(Doorbell("inspect", row.id))


async def _add_jobs(session: AsyncSession, max_parameters: int) -> None:
    done_at_once = {JOB: None, SPARE_JOB: wishes.cancel, CANCELLED_JOB: wishes.cancel, PAUSED_JOB: wishes.pause}
    for job_id, wish in done_at_once.items():
        if await session.get(Job, job_id):
            continue
        await jobs.submit(session, DEFAULT_TENANT, spec(), max_parameters, job_id=job_id)
        if wish:
            await wish(session, DEFAULT_TENANT, job_id)


async def _add_webhooks(session: AsyncSession) -> None:
    """Put webhooks there that are told of what hardly happens, and a test that somebody sent to one before."""
    for webhook_id in (WEBHOOK, SPARE_WEBHOOK):
        if await session.get(Webhook, webhook_id) is None:
            session.add(_webhook(webhook_id))
    await session.flush()
    body = f'{{"type":"{TEST}","timestamp":"2026-01-01T00:00:00Z","data":{{"webhook":"{WEBHOOK}"}}}}'
    await session.merge(
        WebhookDelivery(
            id=DELIVERY, tenant_id=DEFAULT_TENANT, webhook_id=WEBHOOK, event_id=_id("evt", 1), type=TEST, body=body,
            state=DeliveryState.FAILED.value, attempts=[], attempt=0, failures=0,
        )
    )  # fmt: skip


def _webhook(webhook_id: str) -> Webhook:
    events = [WebhookEvent.JOB_EXPIRED.value]
    return Webhook(
        id=webhook_id, tenant_id=DEFAULT_TENANT, name="sample", url=RECEIVER, events=events, secret=signing.new_secret()
    )  # fmt: skip
