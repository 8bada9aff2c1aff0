"""The errors of the house: each owns its code, HTTP status and title; handlers only render them (RFC 9457).

StillhouseError
├── BadRequest 400            bad_request: not JSON, an upload cut short, a malformed cursor or header
├── Unauthorized 401          unauthorized: no API key, or none that is good now
├── Forbidden 403             forbidden: the key's scopes do not cover this
├── NotFound 404              not_found
├── MethodNotAllowed 405     method_not_allowed
├── RequestTimeout 408        request_timeout: a head or a body that came in too slowly
├── Conflict 409              conflict: the resource's state does not allow it
│   └── QuotaExceeded         quota_exceeded: the account has as much as it may have
├── Gone 410                  gone: an upload that expired, was ended or failed; start a new one
├── PreconditionFailed 412    precondition_failed: If-Match names an older version
├── PayloadTooLarge 413       payload_too_large
├── UnsupportedMediaType 415  unsupported_media_type
├── RangeNotSatisfiable 416  range_not_satisfiable
├── InvalidRequest 422        invalid_request: `errors` names each field
│   ├── InvalidSpec           invalid_spec: a job spec that cannot run
│   ├── DigestMismatch        digest_mismatch: bytes that are not the ones announced
│   └── IdempotencyKeyReused  idempotency_key_reused: the same key with another body
├── Locked 423                locked: another request is at work on this upload
├── RateLimited 429           rate_limited: more requests than the account, or the address, may send
├── ChecksumMismatch 460      checksum_mismatch: a part of an upload came in damaged (tus)
├── ArtifactCorrupt 500      artifact_corrupt: a row without its bytes in the store
├── ServiceUnavailable 503    service_unavailable: database or store out of reach
└── StorageFull 507           storage_full

`app.contract.explained` says of each what to do.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Problem(BaseModel):
    """One thing that is wrong: a JSON pointer (RFC 6901) into the request, and a sentence."""

    model_config = ConfigDict(frozen=True)

    pointer: str = ""
    detail: str


class StillhouseError(Exception):
    """Base of all errors that a user may meet."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retry_after: int | None = None
    """Seconds after which the same request may go well."""
    challenge: str | None = None
    """What WWW-Authenticate answers to a key that was missing or is not enough (RFC 6750)."""

    def __init__(self, detail: str, errors: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)


class BadRequest(StillhouseError):
    code, status, title = "bad_request", 400, "Bad request"


class Unauthorized(StillhouseError):
    code, status, title = "unauthorized", 401, "No valid API key"
    challenge = "Bearer"


class Forbidden(StillhouseError):
    code, status, title = "forbidden", 403, "The key does not allow this"

    def __init__(self, scope: str) -> None:
        """`scope`: what the key would need."""
        super().__init__(f"this needs an API key with the scope `{scope}`")
        self.challenge = f'Bearer error="insufficient_scope", scope="{scope}"'


class NotFound(StillhouseError):
    code, status, title = "not_found", 404, "Not found"


class MethodNotAllowed(StillhouseError):
    code, status, title = "method_not_allowed", 405, "Method not allowed"


class RequestTimeout(StillhouseError):
    code, status, title = "request_timeout", 408, "Request timeout"


class Conflict(StillhouseError):
    code, status, title = "conflict", 409, "Conflict with the resource's state"


class QuotaExceeded(Conflict):
    code, title = "quota_exceeded", "Over a limit of the account"

    def __init__(self, limit: str, used: int, allowed: int, asked: int = 1) -> None:
        """`limit`: a field of `app.contract.limits.Limits`."""
        self.limit, self.used, self.allowed = limit, used, allowed
        super().__init__(
            f"{limit}: the account has {used} of the {allowed} it may have, and {asked} more are asked for"
        )


class Gone(StillhouseError):
    code, status, title = "gone", 410, "Gone"


class PreconditionFailed(StillhouseError):
    code, status, title = "precondition_failed", 412, "Precondition failed"


class PayloadTooLarge(StillhouseError):
    code, status, title = "payload_too_large", 413, "Payload too large"


class UnsupportedMediaType(StillhouseError):
    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class RangeNotSatisfiable(StillhouseError):
    code, status, title = "range_not_satisfiable", 416, "Range not satisfiable"


class InvalidRequest(StillhouseError):
    code, status, title = "invalid_request", 422, "Invalid request"


class InvalidSpec(InvalidRequest):
    code, title = "invalid_spec", "Invalid job spec"


class DigestMismatch(InvalidRequest):
    code, title = "digest_mismatch", "The bytes are not the ones announced"


class IdempotencyKeyReused(InvalidRequest):
    code, title = "idempotency_key_reused", "Idempotency key reused with another request"


class Locked(StillhouseError):
    code, status, title = "locked", 423, "Locked"
    retry_after = 2


class RateLimited(StillhouseError):
    code, status, title = "rate_limited", 429, "Too many requests"

    def __init__(self, per_minute: int, seconds: int) -> None:
        """`seconds`: until another request is admitted."""
        super().__init__(f"more than {per_minute} requests a minute; the next one may come in {seconds} s")
        self.retry_after = seconds


class ChecksumMismatch(StillhouseError):
    code, status, title = "checksum_mismatch", 460, "Checksum mismatch"


class ArtifactCorrupt(StillhouseError):
    code, title = "artifact_corrupt", "Stored bytes are missing"


class ServiceUnavailable(StillhouseError):
    code, status, title = "service_unavailable", 503, "Service unavailable"
    retry_after = 5


class StorageFull(StillhouseError):
    code, status, title = "storage_full", 507, "Storage full"
