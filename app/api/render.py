"""Rows as resources."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.contract import accounts, resources, webhooks
from app.contract.devices import Devices
from app.contract.explained import DELIVERIES, FAILURES, REJECTIONS, remedy
from app.contract.limits import OwnLimits
from app.contract.states import BlockedBy, JobState, RejectionCode
from app.db import tables
from app.jobs.repository import devices_of

_TAKEN_SOON_SECONDS = 2
_AS_STORED = tuple(
    resources.Job.model_fields.keys() - {"queue_position", "blocked_by", "failure"}  # these are worked out
)


def file(row: tables.File) -> resources.File:
    same = ("id", "name", "size", "sha256", "pinned", "created_at")
    return resources.File(**{name: getattr(row, name) for name in same})


def upload(row: tables.Upload, offset: int) -> resources.Upload:
    same = ("id", "name", "size", "sha256", "expires_at", "created_at")
    return resources.Upload(offset=offset, file=row.file_id, **{name: getattr(row, name) for name in same})


def model(row: tables.Model) -> resources.Model:
    return resources.Model.model_validate(
        {
            **_registered(row),
            "job": row.job_id,
            "architecture": row.architecture,
            "key_map": row.key_map,
            "preprocessing": row.preprocessing,
            "class_names": row.class_names or (),
        }
    )


def dataset(row: tables.Dataset) -> resources.Dataset:
    return resources.Dataset.model_validate({**_registered(row), "format": row.format, "splits": row.splits})


def _registered(row: tables.Model | tables.Dataset) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "file": row.file_id,
        "state": row.state,
        "inspection": _inspection(row),
        "pinned": row.pinned,
        "version": row.version,
        "created_at": row.created_at,
    }


def _inspection(row: tables.Model | tables.Dataset) -> dict[str, Any] | None:
    if row.inspection is None or not row.inspection["problems"]:
        return row.inspection
    code = row.inspection.get("code") or RejectionCode.INVALID_UPLOAD.value  # older rows have none
    return {**row.inspection, "code": code, "help": remedy(REJECTIONS, code)}


def job(row: tables.Job, positions: Mapping[str, int], devices: Devices, *, full: bool = False) -> resources.Job:
    """`devices`: the most that it could get from any worker that takes jobs.

    `full`: whether the account has as many running as it may.
    """
    return resources.Job.model_validate(
        {
            **{name: getattr(row, name) for name in _AS_STORED},
            "queue_position": positions.get(row.id),
            "blocked_by": _blocked_by(row, devices, full=full),
            "failure": _failure(row),
        }
    )


def _failure(row: tables.Job) -> dict[str, str | None] | None:
    code = row.failure_code
    return {"code": code, "detail": row.failure_detail, "help": remedy(FAILURES, code)} if code else None


def _blocked_by(row: tables.Job, devices: Devices, *, full: bool) -> str | None:
    if row.state != JobState.QUEUED:
        return None
    if full and row.blocked_by is None:
        return BlockedBy.QUOTA.value
    waited = (datetime.now(UTC) - row.queued_at).total_seconds()
    if row.blocked_by or waited <= _TAKEN_SOON_SECONDS:
        return row.blocked_by
    if not devices.any:
        return BlockedBy.NO_WORKER.value
    enough = devices_of(row) <= devices.of(row.spec["device"])
    return (BlockedBy.NO_FREE_DEVICE if enough else BlockedBy.TOO_FEW_DEVICES).value


def event(row: tables.JobEvent) -> resources.JobEvent:
    return resources.JobEvent(seq=row.seq, type=row.type, attempt=row.attempt, time=row.time, data=row.data)


def artifact(row: tables.Artifact) -> resources.Artifact:
    same = ("id", "kind", "name", "size", "sha256", "media_type", "created_at")
    return resources.Artifact.model_validate({**{name: getattr(row, name) for name in same}, "job": row.job_id})


def account(row: tables.Account) -> accounts.Account:
    own = OwnLimits.model_validate(row.limits)
    return accounts.Account(id=row.id, name=row.name, limits=own, created_at=row.created_at)


def api_key(row: tables.ApiKey) -> accounts.ApiKey:
    return accounts.ApiKey(**_key(row))


def new_api_key(row: tables.ApiKey, token: str) -> accounts.NewApiKey:
    return accounts.NewApiKey(key=token, **_key(row))


def _key(row: tables.ApiKey) -> dict[str, Any]:
    same = ("id", "name", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")
    return {"account": row.tenant_id, **{name: getattr(row, name) for name in same}}


def audit_entry(row: tables.AuditEntry) -> accounts.AuditEntry:
    same = ("id", "operation", "subjects", "request_id", "created_at")
    return accounts.AuditEntry(account=row.tenant_id, key=row.key_id, **{name: getattr(row, name) for name in same})


def webhook(row: tables.Webhook) -> webhooks.Webhook:
    return webhooks.Webhook(**_webhook(row))


def new_webhook(row: tables.Webhook) -> webhooks.NewWebhook:
    return webhooks.NewWebhook(secret=row.secret, **_webhook(row))


def _webhook(row: tables.Webhook) -> dict[str, Any]:
    same = ("id", "name", "url", "events", "enabled", "disabled_by", "failing_since", "version", "created_at")
    return {name: getattr(row, name) for name in same}


def delivery(row: tables.WebhookDelivery) -> webhooks.Delivery:
    error = row.attempts[-1]["error"] if row.attempts else None
    return webhooks.Delivery.model_validate(
        {
            **{name: getattr(row, name) for name in ("id", "type", "state", "attempts", "created_at")},
            "webhook": row.webhook_id,
            "event": row.event_id,
            "payload": webhooks.Told.model_validate_json(row.body),
            "next_attempt_at": row.next_attempt_at if row.state == webhooks.DeliveryState.PENDING else None,
            "help": remedy(DELIVERIES, error) if error else "",
        }
    )
