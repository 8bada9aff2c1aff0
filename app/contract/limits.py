"""What an account may have and do at most, what an administrator makes different for one, and what it has."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.contract.resources import Resource

_MOST = 10**15 - 1
"""The largest number in a structured header field (RFC 9651); exact in any JSON, too."""
Count = Annotated[int, Field(ge=0, le=_MOST)]
Duration = Annotated[float, Field(ge=0, le=_MOST)]


class Limits(Resource):
    """The limits of one account; 0: none. `docs/limits.md` says what each counts, and what goes over it gets."""

    stored_bytes: Count = 0
    """Of files, unfinished uploads and results."""
    unfinished_uploads: Count = 0
    upload_bytes: Count = 0
    """Of one file."""
    queued_jobs: Count = 0
    """Jobs that wait, paused ones too."""
    running_jobs: Count = 0
    """Jobs that have a worker; the others wait."""
    epochs: Count = 0
    """Of one job, in all its stages and generations."""
    devices: Count = 0
    """Of one job."""
    runtime_seconds: Duration = 0
    """That one job may train: its largest `max_runtime`, and what one without gets."""
    webhooks: Count = 0
    requests_per_minute: Count = 0


class OwnLimits(BaseModel):
    """Limits that an administrator gave one account; null: as the service's settings say. 0: none."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    stored_bytes: Count | None = None
    unfinished_uploads: Count | None = None
    upload_bytes: Count | None = None
    queued_jobs: Count | None = None
    running_jobs: Count | None = None
    epochs: Count | None = None
    devices: Count | None = None
    runtime_seconds: Duration | None = None
    webhooks: Count | None = None
    requests_per_minute: Count | None = None


class Used(Resource):
    """What an account has of what is limited and stays."""

    stored_bytes: int
    """Announced bytes of unfinished uploads count from their declaration on."""
    unfinished_uploads: int
    queued_jobs: int
    running_jobs: int
    webhooks: int


class Usage(Resource):
    """What an account may have, and what it has."""

    account: str
    limits: Limits
    """Those in force."""
    used: Used
