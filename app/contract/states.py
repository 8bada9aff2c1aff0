"""The state of a job: one table, and every change goes through one gate (`app.jobs.gate`).

queued -> starting -> running -> finalizing -> succeeded
queued -> paused -> queued              starting | running -> pausing -> paused
queued | paused -> cancelled            starting | running | pausing -> cancelling -> cancelled
pausing -> finalizing: the work was done before it could pause; pausing -> queued: resumed before it had paused
a lost lease: -> queued (next attempt, from the last checkpoint), or failed(worker_lost)
queued too long: -> expired             any live state -> failed
"""

from enum import StrEnum


class JobState(StrEnum):
    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    FINALIZING = "finalizing"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_S = JobState
TERMINAL = frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.EXPIRED})
LEASED = frozenset({_S.STARTING, _S.RUNNING, _S.FINALIZING, _S.PAUSING, _S.CANCELLING})
"""A worker holds the job: it has a lease, and only the holder of the current attempt may write."""

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    _S.QUEUED: frozenset({_S.STARTING, _S.PAUSED, _S.CANCELLED, _S.EXPIRED, _S.FAILED}),
    _S.STARTING: frozenset({_S.RUNNING, _S.PAUSING, _S.CANCELLING, _S.QUEUED, _S.FAILED}),
    _S.RUNNING: frozenset({_S.FINALIZING, _S.PAUSING, _S.CANCELLING, _S.QUEUED, _S.FAILED}),
    _S.FINALIZING: frozenset({_S.SUCCEEDED, _S.QUEUED, _S.FAILED}),
    _S.PAUSING: frozenset({_S.PAUSED, _S.QUEUED, _S.FINALIZING, _S.CANCELLING, _S.FAILED}),
    _S.PAUSED: frozenset({_S.QUEUED, _S.CANCELLED, _S.EXPIRED}),
    _S.CANCELLING: frozenset({_S.CANCELLED, _S.FAILED}),
    **{state: frozenset() for state in TERMINAL},
}


class Phase(StrEnum):
    """What a live job is busy with."""

    STAGING = "staging"
    TEACHER_PASS = "teacher_pass"
    TRAINING = "training"
    EVALUATING = "evaluating"
    EXPORTING = "exporting"


class StopReason(StrEnum):
    """Why training ended well."""

    COMPLETED = "completed"
    EARLY_STOP = "early_stop"
    MAX_RUNTIME = "max_runtime"


class BlockedBy(StrEnum):
    """Why a queued job is not taken by a worker."""

    INSPECTION = "inspection"
    JOB = "job"
    """The job that makes its teacher, or what its student starts from."""
    QUOTA = "quota"
    """As many jobs of its account are running as may."""
    NO_FREE_DEVICE = "no_free_device"
    """Workers that take jobs are there, and have not taken it yet: what they have is in use, or kept for a job before
    it that needs several devices."""
    TOO_FEW_DEVICES = "too_few_devices"
    """No worker that takes jobs has as many devices as it asks for."""
    NO_WORKER = "no_worker"
    """No worker that takes jobs is there: none runs, or all are drained."""


class InspectionState(StrEnum):
    """Models and data sets are inspected once: uploaded -> inspecting -> ready | rejected.

    A model is `awaited` before that, while the job that makes it is not over.
    """

    AWAITED = "awaited"
    UPLOADED = "uploaded"
    INSPECTING = "inspecting"
    READY = "ready"
    REJECTED = "rejected"


class RejectionCode(StrEnum):
    """Why an upload was rejected, for programs."""

    INVALID_UPLOAD = "invalid_upload"
    """It is not what it was registered as; the inspection's problems say how."""
    INSPECTION_FAILED = "inspection_failed"
    """It took too long or too much, or crashed."""
    ARTIFACT_CORRUPT = "artifact_corrupt"
    JOB_ENDED = "job_ended"
    """The job that was to make it ended without a student."""


class FailureCode(StrEnum):
    """Why a job failed, for programs; `app.contract.explained` says what to do about each."""

    INVALID_SPEC = "invalid_spec"
    INVALID_WEIGHTS = "invalid_weights"
    INVALID_TRANSFER_SET = "invalid_transfer_set"
    NON_FINITE_LOSS = "non_finite_loss"
    OUT_OF_MEMORY = "out_of_memory"
    DISK_FULL = "disk_full"
    DEVICE_UNAVAILABLE = "device_unavailable"
    EXPORT_UNAVAILABLE = "export_unavailable"
    ARTIFACT_CORRUPT = "artifact_corrupt"
    WORKER_LOST = "worker_lost"
    ENGINE_CRASHED = "engine_crashed"
    INTERNAL_ERROR = "internal_error"
