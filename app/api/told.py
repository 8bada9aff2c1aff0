"""What webhooks are sent, for the OpenAPI document: the receiver's side of an interface, which others serve."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header

from app.contract.webhooks import Told
from app.samples.service import JOB

told = APIRouter()
_OF_A_JOB = {
    "type": "job.cancelled",
    "timestamp": "2026-11-30T12:00:00Z",
    "data": {
        "id": JOB,
        "name": "Irises, from 32 hidden units to 4",
        "state": "cancelled",
        "attempt": 0,
        "stop_reason": None,
        "failure_code": None,
        "links": {"job": f"/v1/jobs/{JOB}"},
    },
}
_EXAMPLES: Any = {"cancelled": {"summary": "A job was cancelled", "value": _OF_A_JOB}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    410: {"description": "It wants no more: the webhook is disabled"},
    "default": {"description": "Not taken: it is sent again later"},
}


@told.post(
    "job", operation_id="receive_event", status_code=204, summary="Tell what becomes of a job", responses=_ANSWERS
)
async def receive_event(
    body: Annotated[Told, Body(openapi_examples=_EXAMPLES)],
    webhook_id: Annotated[str, Header(description="The event's id, the same in every try: go by it")],
    webhook_timestamp: Annotated[int, Header(description="When it was sent, in seconds since 1970")],
    webhook_signature: Annotated[str, Header(description="`v1,` and HMAC-SHA256 of `id.timestamp.body`, in base64")],
) -> None:
    """A receiver verifies the signature (Standard Webhooks) and answers 2xx, before it works on what it was told."""
