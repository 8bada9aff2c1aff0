"""When a request is sent again, and after how long: rules only, no I/O."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx2

BUSY = frozenset({423, 429, 502, 503, 504})
NEVER_ARRIVED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
UNCHANGING = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError)
"""Errors that another try would only repeat."""
LONGEST_WAIT = 60.0
"""Seconds."""


@dataclass(frozen=True)
class RetryRules:
    """How often, and how patiently, a request is repeated."""

    retries: int = 4
    first_wait: float = 0.25
    """Seconds before the second try; doubled before each further one, with jitter."""

    def after_break(self, error: httpx2.TransportError, attempt: int, *, repeatable: bool) -> float | None:
        """Return the seconds to wait after a broken connection, or None to give up. The first attempt is number 0."""
        may = (repeatable or isinstance(error, NEVER_ARRIVED)) and not isinstance(error, UNCHANGING)
        return self.wait(attempt) if may and attempt < self.retries else None

    def after_refusal(self, response: httpx2.Response, attempt: int, *, repeatable: bool) -> float | None:
        """Return the seconds to wait after an error answer, or None to give up.

        429 says that nothing was done, so even a request that must not be repeated may be.
        """
        may = response.status_code in BUSY and (repeatable or response.status_code == 429)
        if not may or attempt >= self.retries:
            return None
        asked = seconds_asked(response.headers.get("Retry-After"))
        return self.wait(attempt) if asked is None else min(asked, LONGEST_WAIT)

    def wait(self, attempt: int) -> float:
        """Return exponential back-off with jitter, in seconds."""
        return min(self.first_wait * 2.0**attempt, LONGEST_WAIT) * random.uniform(0.75, 1.25)  # noqa: S311  # no secret


def seconds_asked(retry_after: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110: seconds or a date), or None."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
