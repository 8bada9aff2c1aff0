"""What the client raises. Each service error (`app.contract.errors`) has its class here, found by its code.

StillhouseError
├── Unreachable             nothing answers at the URL, or the connection broke and stayed broken
├── UnexpectedAnswer        something answers that does not speak this interface
├── WaitTimeout             what was waited for did not happen in the time given (also a TimeoutError)
├── Rejected                the inspection of an upload found problems: `resource`, `problems`
│   ├── ModelRejected
│   └── DatasetRejected
├── JobFailed               the job ended without a student: `job`, `failure`
├── NoSuchArtifact          the job has not published that file (yet)
├── NotCaptured             a network cannot be written down as calls of operators
├── Corrupted               bytes arrived that are not the ones announced
└── ServiceError            the service said no: `status`, `code`, `detail`, `errors`, `request_id`
    ├── BadRequest 400, Unauthorized 401, Forbidden 403, NotFound 404, MethodNotAllowed 405, RequestTimeout 408,
    │   Conflict 409, Gone 410, PreconditionFailed 412, PayloadTooLarge 413, UnsupportedMediaType 415,
    │   RangeNotSatisfiable 416, Locked 423, RateLimited 429, ChecksumMismatch 460, ArtifactCorrupt 500,
    │   ServiceUnavailable 503, StorageFull 507
    └── InvalidRequest 422
        └── InvalidSpec, DigestMismatch, IdempotencyKeyReused
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Generic, TypeVar

from app.contract.errors import Problem
from app.contract.explained import CLIENT, PROBLEMS, remedy
from app.contract.resources import Dataset, Failure, Job, Model, ProblemDocument

Registered = TypeVar("Registered", bound=Model | Dataset)


class StillhouseError(Exception):
    """Base of everything that this client raises on purpose. What to do about it is a note, which tracebacks show."""

    def __init__(self, message: str, help: str = "") -> None:  # noqa: A002 - as the service calls it
        super().__init__(message)
        self.help = help or remedy(CLIENT, type(self).__name__)
        if self.help:
            self.add_note(f"What to do: {self.help}")


class Unreachable(StillhouseError):
    """Nothing answers at the URL, or the connection broke and stayed broken."""


class UnexpectedAnswer(StillhouseError):
    """Something answers that does not speak this interface."""


class WaitTimeout(StillhouseError, TimeoutError):
    """What was waited for did not happen in time; it may still happen."""


class NotCaptured(StillhouseError):
    """A network cannot be written down as calls of operators, or not so that it does the same."""


class Corrupted(StillhouseError):
    """Bytes arrived that are not the ones announced."""


class NoSuchArtifact(StillhouseError):
    """The job has not published that file."""


class Rejected(StillhouseError, Generic[Registered]):
    """The inspection of an upload found problems."""

    noun: ClassVar[str]

    def __init__(self, resource: Registered) -> None:
        self.resource = resource
        self.problems = resource.inspection.problems if resource.inspection else []
        help_ = resource.inspection.help if resource.inspection else ""
        super().__init__(_listed(f"{self.noun} {resource.id} was rejected", self.problems), help_)


class ModelRejected(Rejected[Model]):
    noun = "model"


class DatasetRejected(Rejected[Dataset]):
    noun = "dataset"


class JobFailed(StillhouseError):
    """The job ended without a student: it failed, was cancelled, or expired."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.failure: Failure | None = job.failure
        how = {"failed": "failed", "cancelled": "was cancelled", "expired": "expired"}.get(job.state, job.state)
        why = f": {job.failure.code}: {job.failure.detail}" if job.failure else ""
        super().__init__(f"job {job.id} {how}{why}", job.failure.help if job.failure else "")


class ServiceError(StillhouseError):
    """The service answered with an error (RFC 9457)."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, problem: ProblemDocument) -> None:
        self.status = problem.status
        self.detail = problem.detail
        self.errors: Sequence[Problem] = problem.errors
        self.request_id = problem.request_id
        self.problem = problem
        heading = f"{problem.detail} [{problem.code}, HTTP {problem.status}, request {problem.request_id or '-'}]"
        super().__init__(_listed(heading, problem.errors), problem.help or remedy(PROBLEMS, problem.code))


class BadRequest(ServiceError):
    code = "bad_request"


class Unauthorized(ServiceError):
    code = "unauthorized"


class Forbidden(ServiceError):
    code = "forbidden"


class NotFound(ServiceError):
    code = "not_found"


class MethodNotAllowed(ServiceError):
    code = "method_not_allowed"


class RequestTimeout(ServiceError):
    code = "request_timeout"


class Conflict(ServiceError):
    code = "conflict"


class QuotaExceeded(Conflict):
    code = "quota_exceeded"


class Gone(ServiceError):
    code = "gone"


class PreconditionFailed(ServiceError):
    code = "precondition_failed"


class PayloadTooLarge(ServiceError):
    code = "payload_too_large"


class UnsupportedMediaType(ServiceError):
    code = "unsupported_media_type"


class RangeNotSatisfiable(ServiceError):
    code = "range_not_satisfiable"


class Locked(ServiceError):
    code = "locked"


class ChecksumMismatch(ServiceError):
    code = "checksum_mismatch"


class RateLimited(ServiceError):
    code = "rate_limited"


class InvalidRequest(ServiceError):
    code = "invalid_request"


class InvalidSpec(InvalidRequest):
    code = "invalid_spec"


class DigestMismatch(InvalidRequest):
    code = "digest_mismatch"


class IdempotencyKeyReused(InvalidRequest):
    code = "idempotency_key_reused"


class ArtifactCorrupt(ServiceError):
    code = "artifact_corrupt"


class ServiceUnavailable(ServiceError):
    code = "service_unavailable"


class StorageFull(ServiceError):
    code = "storage_full"


BY_STATUS: dict[int, type[ServiceError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    409: Conflict,
    410: Gone,
    412: PreconditionFailed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    416: RangeNotSatisfiable,
    422: InvalidRequest,
    423: Locked,
    429: RateLimited,
    460: ChecksumMismatch,
    503: ServiceUnavailable,
    507: StorageFull,
}
"""For a code that a newer service may have, and for proxies, which know no codes."""


def service_error(problem: ProblemDocument) -> ServiceError:
    """Return the problem as the exception of its code, or of its status where the code is new to this client."""
    for known in _tree(ServiceError):
        if known.code == problem.code:
            return known(problem)
    return BY_STATUS.get(problem.status, ServiceError)(problem)


def _tree(root: type[ServiceError]) -> Iterator[type[ServiceError]]:
    yield root
    for branch in root.__subclasses__():
        yield from _tree(branch)


def _listed(heading: str, problems: Sequence[Problem]) -> str:
    return "\n".join([heading, *(f"  {told(problem)}" for problem in problems)])


def told(problem: Problem) -> str:
    """Return `pointer: detail`, or the detail alone where it concerns the whole request."""
    return f"{problem.pointer}: {problem.detail}" if problem.pointer else problem.detail
