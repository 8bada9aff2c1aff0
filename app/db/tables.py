"""The tables. Rules live in the services, statements in the repositories; here is only the shape."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import DEFAULT_TENANT, Base, UtcDateTime, db_now

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Id = String(64)
Sha256 = String(64)


class _Owned:
    """A row of a tenant."""

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id, default=DEFAULT_TENANT)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class Account(Base):
    """A tenant: the `tenant_id` of all that it has."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    limits: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    """`app.contract.limits.OwnLimits`, without those that are as the settings say."""
    served_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a worker last took a job of it: accounts take turns."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class ApiKey(_Owned, Base):
    """A key of an account. The row stays when the key is revoked: a service that had keys never opens again."""

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "tenant_id", "id"),)

    tenant_id: Mapped[str] = mapped_column(Id, ForeignKey("accounts.id"))
    name: Mapped[str] = mapped_column(String(200))
    hash: Mapped[str] = mapped_column(Sha256)
    """Of the key with its secret; see `app.accounts.tokens`."""
    scopes: Mapped[list[str]] = mapped_column(Json)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """In the future while a rotated key has its grace."""
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AuditEntry(_Owned, Base):
    """A change, and who asked for it."""

    __tablename__ = "audit_log"
    __table_args__ = (Index(None, "tenant_id", "id"), Index(None, "key_id", "id"))

    key_id: Mapped[str | None] = mapped_column(Id)
    operation: Mapped[str] = mapped_column(String(64))
    """The operationId of the request."""
    subjects: Mapped[list[str]] = mapped_column(Json)
    request_id: Mapped[str] = mapped_column(String(100))


class _Kept(_Owned):
    """Something that retention may remove once nothing uses it."""

    pinned: Mapped[bool] = mapped_column(default=False)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the last of what used it was deleted."""


class File(_Kept, Base):
    """An uploaded file; its bytes lie in the store under their SHA-256."""

    __tablename__ = "files"
    __table_args__ = (Index(None, "tenant_id", "id"), Index(None, "sha256"))

    name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Sha256)


class Upload(_Owned, Base):
    """A file on its way in; its bytes so far lie on the disk, and the size of that file is the offset."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index(None, "tenant_id", "id"),
        Index(None, "tenant_id", "sha256"),
        Index(None, "expires_at"),
        Index(None, "file_id"),
    )

    name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(Sha256)
    """As announced."""
    described: Mapped[str | None] = mapped_column(Text)
    """Upload-Metadata as it came; tus gives it back."""
    unchecked_from: Mapped[int | None] = mapped_column(BigInteger)
    """Where bytes begin whose checksum was still to come: they count only once it has been right."""
    file_id: Mapped[str | None] = mapped_column(Id, ForeignKey("files.id", ondelete="CASCADE"))
    """What came of it."""
    ended: Mapped[str | None] = mapped_column(Text)
    """Why it is over without a file."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Reservation(_Owned, Base):
    """Bytes that an account may store, held for a file that comes in within one request."""

    __tablename__ = "reservations"
    __table_args__ = (Index(None, "tenant_id", "id"),)

    size: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """A process that dies leaves them behind."""


class _Registered(_Kept):
    """Something uploaded that is inspected once: uploaded -> inspecting -> ready | rejected."""

    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    inspection: Mapped[dict[str, Any] | None] = mapped_column(Json)
    version: Mapped[int] = mapped_column(Integer, default=1)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    """Fencing token: counts the inspections that were begun."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Model(_Registered, Base):
    """A registered network: weights and architecture."""

    __tablename__ = "models"
    __table_args__ = (
        Index(None, "tenant_id", "id"),
        Index(None, "state"),
        Index(None, "file_id"),
        Index(None, "job_id"),
    )

    file_id: Mapped[str | None] = mapped_column(Id, ForeignKey("files.id"))
    """Missing while the job that makes the model is not over."""
    job_id: Mapped[str | None] = mapped_column(Id, ForeignKey("jobs.id", ondelete="SET NULL"))
    """The job whose student it is."""
    architecture: Mapped[dict[str, Any]] = mapped_column(Json)
    key_map: Mapped[dict[str, str] | None] = mapped_column(Json)
    preprocessing: Mapped[dict[str, Any] | None] = mapped_column(Json)
    class_names: Mapped[list[str] | None] = mapped_column(Json)
    weights_sha256: Mapped[str | None] = mapped_column(Sha256)
    """The weights as safetensors; the upload itself where it was that already."""


class Dataset(_Registered, Base):
    """A registered transfer set."""

    __tablename__ = "datasets"
    __table_args__ = (Index(None, "tenant_id", "id"), Index(None, "state"), Index(None, "file_id"))

    file_id: Mapped[str] = mapped_column(Id, ForeignKey("files.id"))
    format: Mapped[dict[str, Any]] = mapped_column(Json)
    splits: Mapped[dict[str, Any]] = mapped_column(Json)


class Job(_Owned, Base):
    """A distillation job. `version` guards every change of state, `attempt` every write of a worker."""

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "tenant_id", "id"),
        Index("ix_jobs_queue", "state", "blocked_by", "priority", "id"),
        Index(None, "dataset_id"),
        Index(None, "cloned_from"),
        Index(None, "retry_of", unique=True),
    )

    name: Mapped[str | None] = mapped_column(String(200))
    spec: Mapped[dict[str, Any]] = mapped_column(Json)
    spec_hash: Mapped[str] = mapped_column(Sha256)
    dataset_id: Mapped[str] = mapped_column(Id, ForeignKey("datasets.id"))
    cloned_from: Mapped[str | None] = mapped_column(Id, ForeignKey("jobs.id", ondelete="SET NULL"))
    retry_of: Mapped[str | None] = mapped_column(Id, ForeignKey("jobs.id", ondelete="SET NULL"))
    """The job that did not succeed, and from whose checkpoint this one goes on; a job has one retry at most."""
    traceparent: Mapped[str | None] = mapped_column(String(55))
    """The span of the request that submitted it (W3C Trace Context), where that was traced."""
    labels: Mapped[dict[str, str]] = mapped_column(Json)
    pinned: Mapped[bool] = mapped_column(default=False)
    """Retention leaves it, and what it names, alone."""
    priority: Mapped[int] = mapped_column(Integer)
    max_attempts: Mapped[int] = mapped_column(Integer)

    state: Mapped[str] = mapped_column(String(16))
    desired_state: Mapped[str | None] = mapped_column(String(16))
    """What a user asked of a live job; its worker sees it at the next heartbeat."""
    blocked_by: Mapped[str | None] = mapped_column(String(32))
    version: Mapped[int] = mapped_column(Integer, default=1)
    last_seq: Mapped[int] = mapped_column(Integer, default=0)

    attempt: Mapped[int] = mapped_column(Integer, default=0)
    """Fencing token: counts the claims."""
    losses: Mapped[int] = mapped_column(Integer, default=0)
    """Claims that ended with a lost worker; these are charged against max_attempts."""
    halvings: Mapped[int] = mapped_column(Integer, default=0)
    """How often its micro-batches were halved because memory ran out."""
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)

    phase: Mapped[str | None] = mapped_column(String(16))
    progress: Mapped[float] = mapped_column(default=0.0)
    eta_seconds: Mapped[float | None]
    stop_reason: Mapped[str | None] = mapped_column(String(16))
    failure_code: Mapped[str | None] = mapped_column(String(32))
    failure_detail: Mapped[str | None] = mapped_column(Text)

    queued_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Of a queued job with `max_pending`: when it has waited for too long."""
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class JobModel(Base):
    """A model that a job names, and the part it plays there: teacher or student."""

    __tablename__ = "job_models"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[str] = mapped_column(Id, ForeignKey("models.id"), primary_key=True, index=True)
    part: Mapped[str] = mapped_column(String(16), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id)


class JobEvent(Base):
    """One entry of a job's history; `seq` has no gaps."""

    __tablename__ = "job_events"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = mapped_column(Id)
    attempt: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(String(32))
    time: Mapped[datetime] = mapped_column(UtcDateTime)
    data: Mapped[dict[str, Any]] = mapped_column(Json)


class JobLog(Base):
    """A piece of what the engine printed, in the order of `id`."""

    __tablename__ = "job_logs"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Id)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int] = mapped_column(Integer)
    text: Mapped[str] = mapped_column(Text)


class Artifact(_Owned, Base):
    """A published file of a finished job."""

    __tablename__ = "artifacts"
    __table_args__ = (Index(None, "tenant_id", "id"), Index(None, "job_id"), Index(None, "sha256"))

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Sha256)
    media_type: Mapped[str] = mapped_column(String(100))


class Checkpoint(Base):
    """A file of what a job that is not over has learnt; see `app.contract.learnt`."""

    __tablename__ = "checkpoints"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    """Its path in the job's directory."""
    tenant_id: Mapped[str] = mapped_column(Id)
    sha256: Mapped[str] = mapped_column(Sha256, index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    attempt: Mapped[int] = mapped_column(Integer)
    """That stored it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class SoftTargets(Base):
    """What teachers said of a part of a transfer set, for every host; see `app.contract.soft_targets`."""

    __tablename__ = "soft_targets"

    tenant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(Sha256, primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    """Of the file: key and kind of machine."""
    sha256: Mapped[str] = mapped_column(Sha256, index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now(), index=True)


class Worker(Base):
    """A process that does the service's work, for as long as it is heard of."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    """`jobs.worker` is this, a slash, and the slot's process id."""
    role: Mapped[str] = mapped_column(String(16), default="distill")
    devices: Mapped[list[str]] = mapped_column(Json)
    device_use: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    """`app.contract.workers.DeviceUse` of each device that tells."""
    sandbox: Mapped[list[str]] = mapped_column(Json, default=list)
    """The walls that its kernel lets it put around uploads."""
    slots: Mapped[int] = mapped_column(Integer)
    drain: Mapped[str | None] = mapped_column(String(16))
    """It shall take no more jobs, and finish or checkpoint those that it is at."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())


class Webhook(_Owned, Base):
    """Where an account wants to be told of its jobs."""

    __tablename__ = "webhooks"
    __table_args__ = (Index(None, "tenant_id", "id"),)

    name: Mapped[str | None] = mapped_column(String(200))
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[list[str]] = mapped_column(Json)
    secret: Mapped[str] = mapped_column(String(100))
    old_secret: Mapped[str | None] = mapped_column(String(100))
    """Signs beside the new one until `old_secret_until`."""
    old_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_by: Mapped[str | None] = mapped_column(String(16))
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(Integer, default=1)


class WebhookDelivery(_Owned, Base):
    """An event on its way to a webhook: written in the transaction of what it tells of."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index(None, "webhook_id", "id"),
        Index(None, "state", "next_attempt_at"),
        Index(None, "created_at"),
    )

    webhook_id: Mapped[str] = mapped_column(Id, ForeignKey("webhooks.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(Id)
    type: Mapped[str] = mapped_column(String(32))
    body: Mapped[str] = mapped_column(Text)
    """JSON, as it is signed and sent."""
    state: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    """Fencing token: counts the tries that were begun."""
    failures: Mapped[int] = mapped_column(Integer, default=0)
    """Tries that failed since it was last asked for."""
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    """`app.contract.webhooks.Attempt` of the last ones."""
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """While it is being tried: when that is given up for lost."""


class IdempotencyKey(Base):
    """The answer that a request with this key got, committed together with what it did."""

    __tablename__ = "idempotency_keys"

    tenant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(Sha256)
    """SHA-256 of route and body."""
    status: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=db_now())
