"""Webhooks: what the service tells others of jobs, signed as Standard Webhooks says (standardwebhooks.com)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter

from app.contract.resources import Resource
from app.contract.spec import Name
from app.contract.states import FailureCode, JobState, StopReason

TEST = "webhook.test"
"""The type of what `POST /v1/webhooks/{id}/test` sends."""
_LONGEST_URL = 2000
_LONGEST_GRACE = 30 * 24 * 3600
_WEB_PORTS = frozenset({80, 443})
_FIRST_FREE_PORT = 1024


class WebhookEvent(StrEnum):
    """What may happen to a job that a webhook is told."""

    JOB_STARTED = "job.started"
    """A worker began to run it, or went on with it: once an attempt."""
    JOB_PAUSED = "job.paused"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"


EVENT_OF = {
    JobState.RUNNING: WebhookEvent.JOB_STARTED,
    JobState.PAUSED: WebhookEvent.JOB_PAUSED,
    JobState.SUCCEEDED: WebhookEvent.JOB_SUCCEEDED,
    JobState.FAILED: WebhookEvent.JOB_FAILED,
    JobState.CANCELLED: WebhookEvent.JOB_CANCELLED,
    JobState.EXPIRED: WebhookEvent.JOB_EXPIRED,
}
"""What is told when a job gets into a state; of other states nothing is."""
ENDS = (
    WebhookEvent.JOB_SUCCEEDED,
    WebhookEvent.JOB_FAILED,
    WebhookEvent.JOB_CANCELLED,
    WebhookEvent.JOB_EXPIRED,
)


class DeliveryState(StrEnum):
    """pending -> sending -> succeeded, or pending again, or failed; a replay makes both ends pending again."""

    PENDING = "pending"
    """It waits for its first or next try."""
    SENDING = "sending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Every try failed, or the receiver is gone (410)."""


class DeliveryError(StrEnum):
    """Why a try failed, for programs; `app.contract.explained` says what to do about each."""

    NAME_NOT_FOUND = "name_not_found"
    ADDRESS_REFUSED = "address_refused"
    CONNECTION_FAILED = "connection_failed"
    TLS_FAILED = "tls_failed"
    TIMED_OUT = "timed_out"
    NO_HTTP = "no_http"
    REDIRECTED = "redirected"
    REFUSED = "refused"
    GONE = "gone"


class DisabledBy(StrEnum):
    """Why a webhook is not told anything, for programs."""

    USER = "user"
    GONE = "gone"
    """Its receiver answered 410."""
    FAILING = "failing"
    """No delivery went well for too long."""


def _checked(url: str) -> str:
    """Return the URL as it is asked for. Raises ValueError for one that no receiver should have."""
    parsed = _URL.validate_python(url)
    if parsed.username is not None or parsed.password is not None:
        raise ValueError("leave user name and password out: what comes is signed")
    if parsed.fragment is not None:
        raise ValueError("leave out what follows `#`: it is never sent")
    if parsed.port not in _WEB_PORTS and (parsed.port or 0) < _FIRST_FREE_PORT:
        raise ValueError("the port has to be 443, 80, or one from 1024 on")
    return str(parsed)


_URL = TypeAdapter(HttpUrl)
Url = Annotated[
    str,
    Field(min_length=1, max_length=_LONGEST_URL, json_schema_extra={"format": "uri"}),
    AfterValidator(_checked),
]
Events = Annotated[list[WebhookEvent], Field(min_length=1, max_length=len(WebhookEvent))]


class Webhook(Resource):
    """Where events go."""

    id: str
    name: str | None
    url: str
    events: list[WebhookEvent]
    enabled: bool
    disabled_by: DisabledBy | None
    failing_since: datetime | None
    """The first failed try since one went well; null while all is well."""
    version: int
    created_at: datetime


class NewWebhook(Webhook):
    """A webhook with its secret: one that was just made, or was given a new one."""

    secret: str = Field(repr=False)
    """`whsec_…`, under which the receiver verifies what comes. It is not shown again."""


class JobTold(Resource):
    """What is told of a job: little, all else is asked for under its links."""

    id: str
    name: str | None
    state: JobState
    attempt: int
    stop_reason: StopReason | None
    failure_code: FailureCode | None
    links: dict[str, str]
    """Paths of this service: `job`, and of one that succeeded `student` and `report`."""


class TestTold(Resource):
    """What is told by a test."""

    webhook: str


class Told(Resource):
    """The body of what is sent."""

    type: str
    """A `WebhookEvent`, or `webhook.test`."""
    timestamp: datetime
    """When it happened; `webhook-timestamp` is when it was sent."""
    data: JobTold | TestTold | dict[str, Any] = Field(union_mode="left_to_right")
    """The last: of what a newer service may tell."""


class Attempt(Resource):
    """One try to deliver."""

    time: datetime
    seconds: float
    status: int | None
    """Of the receiver's answer, where there was one."""
    error: DeliveryError | None
    detail: str = ""
    answer: str = ""
    """The first bytes of the receiver's answer, as text."""


class Delivery(Resource):
    """One event on its way to one webhook."""

    id: str
    webhook: str
    event: str
    """The event's id, which is sent as `webhook-id`: the same however often it is sent, and to whom."""
    type: str
    """A `WebhookEvent`, or `webhook.test`."""
    payload: Told
    state: DeliveryState
    attempts: list[Attempt]
    """The last ones, the oldest first."""
    next_attempt_at: datetime | None
    """Null where it is not to be tried again."""
    help: str = ""
    """What to do about the last failure."""
    created_at: datetime


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class WebhookCreate(_Request):
    """A new webhook."""

    url: Url
    """Where a receiver waits for POST: https, at a public address, unless whoever runs the service allows more."""
    events: Events = Field(default_factory=lambda: list(ENDS))
    """By default every end of a job."""
    name: Name | None = None


class WebhookChange(_Request):
    """What may be changed of a webhook."""

    url: Url | None = None
    events: Events | None = None
    name: Name | None = None
    enabled: bool | None = None


class WebhookRotation(_Request):
    """How a secret is replaced."""

    grace_seconds: int = Field(default=0, ge=0, le=_LONGEST_GRACE)
    """What is sent is signed under the old secret too for so long."""
