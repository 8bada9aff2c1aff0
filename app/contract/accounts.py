"""Accounts, their API keys, and the audit log, as the service shows them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.contract.limits import OwnLimits
from app.contract.moments import AwareMoment
from app.contract.resources import Resource
from app.contract.spec import Name

HOW_TO_BEGIN = (
    "make the first API key on the service's own host with `stillhouse keys bootstrap` "
    "(in the API's container: `python -m app.accounts bootstrap`)"
)
_LONGEST_GRACE = 30 * 24 * 3600


class Scope(StrEnum):
    """What a key is for."""

    READ = "read"
    """To look at what the account has: GET."""
    SUBMIT = "submit"
    """To change what the account has: upload, submit, cancel, delete."""
    ADMIN = "admin"
    """Everything, of the whole installation: accounts, keys, the audit log, draining workers."""


Scopes = Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]


class Account(Resource):
    """A tenant: nobody else sees, names or uses what it has."""

    id: str
    name: str
    limits: OwnLimits = OwnLimits()
    """Those that are not as the service's settings say."""
    created_at: datetime


class ApiKey(Resource):
    """A key, without its secret: that is shown once, when the key is made."""

    id: str
    account: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    """From then on it is refused; in the future while a rotated key has its grace."""
    last_used_at: datetime | None
    """To the minute."""


class NewApiKey(ApiKey):
    """A key that was just made."""

    key: str = Field(repr=False)
    """`sh_…`, to be sent as `Authorization: Bearer …`. It is not stored and cannot be shown again."""


class AuditEntry(Resource):
    """A change, and who asked for it."""

    id: str
    account: str
    """Whose key it was."""
    key: str | None
    """Missing for the service's own host: before there was a key, and on its command line."""
    operation: str
    """The `operationId` of the request, or `bootstrap`."""
    subjects: list[str]
    """The ids that the request named, and those of what it made."""
    request_id: str
    created_at: datetime


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class AccountCreate(_Request):
    """A new account."""

    name: Name


class AccountChange(_Request):
    """What can be changed of an account; what is left out stays."""

    name: Name | None = None
    limits: OwnLimits | None = None
    """Of these, too, what is left out stays, and null takes one back: the service's settings hold again."""


class ApiKeyCreate(_Request):
    """A new key."""

    name: Name
    """Who or what uses it."""
    scopes: Scopes = Field(default_factory=lambda: [Scope.READ, Scope.SUBMIT])
    account: str | None = Field(default=None, max_length=64)
    """By default the one of the key that makes it."""
    expires_at: AwareMoment | None = None


class ApiKeyRotation(_Request):
    """How a key is replaced."""

    grace_seconds: int = Field(default=0, ge=0, le=_LONGEST_GRACE)
    """The old key is good for so long beside the new one."""
