"""Accounts, their API keys, and who changed what: `client.accounts`, `client.keys`, `client.audit_log`."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from app.contract.accounts import Account, ApiKey, AuditEntry, NewApiKey, Scope
from app.contract.resources import Page
from stillhouse import calls
from stillhouse.pages import every, same
from stillhouse.transport import Transport


class Accounts:
    """Open, list, rename, limit: with a key of the scope `admin`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, name: str) -> Account:
        """Open an account: its keys see nothing of others, and others nothing of it."""
        return self._transport.send(calls.register("/v1/accounts", Account, name=name))

    def get(self, account: Account | str) -> Account:
        return self._transport.send(calls.get(f"/v1/accounts/{_id(account)}", Account))

    def rename(self, account: Account | str, name: str) -> Account:
        return self._transport.send(calls.change(f"/v1/accounts/{_id(account)}", Account, name=name))

    def limit(self, account: Account | str, **limits: float | None) -> Account:
        """Give an account limits of its own, such as `queued_jobs=5000`: fields of `app.contract.limits.OwnLimits`.

        Those that are left out stay; None takes one back, so that the service's setting holds again; 0 is no limit.
        """
        return self._transport.send(calls.change(f"/v1/accounts/{_id(account)}", Account, limits=limits))

    def list(self) -> Iterator[Account]:
        """Yield every account, newest first."""
        return every(self._transport, "/v1/accounts", Page[Account], same)


class Keys:
    """Make, list, replace, revoke: with a key of the scope `admin`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope | str] = (Scope.READ, Scope.SUBMIT),
        account: Account | str | None = None,
        expires_at: datetime | None = None,
    ) -> NewApiKey:
        """Make a key; `key.key` is its secret, which is never shown again. `account`: by default the caller's own."""
        fields = {"scopes": list(scopes), "account": account and _id(account), "expires_at": expires_at}
        return self._transport.send(calls.register("/v1/api_keys", NewApiKey, name=name, **fields))

    def get(self, key: ApiKey | str) -> ApiKey:
        return self._transport.send(calls.get(f"/v1/api_keys/{_id(key)}", ApiKey))

    def list(self, *, account: Account | str | None = None) -> Iterator[ApiKey]:
        """Yield every key, newest first, those that are over too; never their secrets."""
        return every(self._transport, "/v1/api_keys", Page[ApiKey], same, account=account and _id(account))

    def rotate(self, key: ApiKey | str, *, grace_seconds: int = 0) -> NewApiKey:
        """Return a key in the place of this one, which is good for `grace_seconds` more.

        Raises Conflict where it is over or was replaced already.
        """
        return self._transport.send(calls.rotate(f"/v1/api_keys/{_id(key)}", NewApiKey, grace_seconds))

    def revoke(self, key: ApiKey | str) -> None:
        """Have a key refused from the next request on; safe to repeat."""
        self._transport.send(calls.delete(f"/v1/api_keys/{_id(key)}"))


class AuditLog:
    """Every change, and who asked for it: with a key of the scope `admin`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(
        self,
        *,
        account: Account | str | None = None,
        key: ApiKey | str | None = None,
        operation: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Iterator[AuditEntry]:
        """Yield changes, newest first. `operation`: the `operationId` of the request, such as `create_job`."""
        chosen = {
            "account": account and _id(account),
            "key": key and _id(key),
            "operation": operation,
            "created_after": created_after and created_after.isoformat(),
            "created_before": created_before and created_before.isoformat(),
        }
        return every(self._transport, "/v1/audit_log", Page[AuditEntry], same, **chosen)


def _id(named: Account | ApiKey | str) -> str:
    return named if isinstance(named, str) else named.id
