"""The client: `with Stillhouse(url) as client: ...`."""

import os
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from app.contract.accounts import Account
from app.contract.limits import Usage
from app.contract.resources import Catalog, Readiness
from app.contract.retention import Retention
from stillhouse import calls
from stillhouse.accounts import Accounts, AuditLog, Keys
from stillhouse.datasets import Datasets
from stillhouse.files import Files
from stillhouse.gauges import on_terminal
from stillhouse.jobs import Jobs
from stillhouse.keeping import Kept, place_of
from stillhouse.models import Models
from stillhouse.retry import RetryRules
from stillhouse.transport import Transport
from stillhouse.webhooks import Webhooks
from stillhouse.workers import Workers

DEFAULT_URL = "http://127.0.0.1:8000"


class Stillhouse:
    """A connection to one service: `files`, `models`, `datasets`, `jobs`, `webhooks`, `workers`, `keys`, `accounts`,
    `audit_log`.

    `url`: by default STILLHOUSE_URL, or this machine's port 8000. `api_key`: by default STILLHOUSE_API_KEY; sent to
    this service only, and shown nowhere. `timeout`: seconds without any answer after which a
    request counts as failed. `retries`: how often a request that may be sent again is, after 429, 502, 503, 504 or a
    broken connection. `progress`: draw bars for uploads and downloads; by default on a terminal only.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | SecretStr | None = None,
        timeout: float = 60.0,
        retries: int = 4,
        progress: bool | None = None,
    ) -> None:
        self.url = (url or os.environ.get("STILLHOUSE_URL") or DEFAULT_URL).rstrip("/")
        api_key = _secret(api_key or os.environ.get("STILLHOUSE_API_KEY"))
        self._transport = Transport(self.url, timeout=timeout, rules=RetryRules(retries), api_key=api_key)
        drawn = on_terminal() if progress is None else progress
        self.files = Files(self._transport, progress=drawn)
        self.models = Models(self._transport, self.files)
        self.datasets = Datasets(self._transport, self.files)
        self.jobs = Jobs(self._transport, progress=drawn)
        self.workers = Workers(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.accounts = Accounts(self._transport)
        self.keys = Keys(self._transport)
        self.audit_log = AuditLog(self._transport)

    def catalog(self) -> Catalog:
        """Return everything that a spec can name, each with its JSON schema and its paper."""
        return self._transport.send(calls.get("/v1/catalog", Catalog))

    def ready(self) -> Readiness:
        """Return the state of what the service stands on; raise ServiceUnavailable where a part is down."""
        return self._transport.send(calls.get("/readyz", Readiness))

    def retention(self) -> Retention:
        """Return what the service would remove by itself now, and why; nothing is removed."""
        return self._transport.send(calls.get("/v1/retention", Retention))

    def usage(self, account: Account | str | None = None) -> Usage:
        """Return what your account may have and do, and what it has; with the scope `admin` also another account's."""
        named = account.id if isinstance(account, Account) else account
        return self._transport.send(calls.get("/v1/usage", Usage, account=named))

    def pin(self, thing: Kept | str) -> None:
        """Have a job, model, transfer set or file (or its id) never removed by retention, nor what it needs."""
        self._set_pin(thing, pinned=True)

    def unpin(self, thing: Kept | str) -> None:
        """Leave it to retention again."""
        self._set_pin(thing, pinned=False)

    def _set_pin(self, thing: Kept | str, *, pinned: bool) -> None:
        path, shape = place_of(thing)
        self._transport.send(calls.change(path, shape, pinned=pinned))

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _secret(api_key: str | SecretStr | None) -> SecretStr | None:
    """Wrap it where it comes in: tracebacks that show variables show stars."""
    if not api_key:
        return None
    return api_key if isinstance(api_key, SecretStr) else SecretStr(api_key.strip())
