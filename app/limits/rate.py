"""How often somebody asks, counted in the broker's Redis: all processes of the service count together.

GCRA, a token bucket in one number: each key holds the time at which its bucket is full again. A request is one script,
one round trip. No broker, no counting: the service answers on, and asks again whether the broker is back a while later.
"""

import hashlib
import hmac
import logging
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from math import ceil
from time import monotonic
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

WINDOW = 60
"""Seconds in which the bucket fills, and the requests of which it holds."""
_TIMEOUT, _PAUSE = 1.0, 5.0
"""Seconds until the broker counts as away, and in which it is not asked then."""
_SLOTS = 2**16
"""Strange addresses share so many buckets, so that their number costs no memory; which ones, they cannot know."""
_SCRIPT = """
local time = redis.call('TIME')
local now, window, quota = time[1] * 1000 + time[2] / 1000, tonumber(ARGV[1]), tonumber(ARGV[2])
local step = window / quota
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + step
local early = full - now - window
if early > 0.5 then
  return {0, 0, math.ceil(early)}
end
redis.call('SET', KEYS[1], string.format('%.4f', full), 'PX', math.max(1, math.ceil(full - now)))
local left = math.floor(-early / step + 0.001)
return {1, left, math.ceil((left + 1) * step + early)}
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Count:
    """What became of a request, and of the requests that its sender may send."""

    admitted: bool
    quota: int
    left: int
    seconds: int
    """Until one more than that is allowed."""

    def headers(self) -> dict[str, str]:
        """Return what the sender is told, by draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"requests";q={self.quota};w={WINDOW}',
            "RateLimit": f'"requests";r={self.left};t={self.seconds}',
        }


class Rate:
    """Counts requests."""

    def __init__(self, broker_url: str) -> None:
        options: dict[str, Any] = {"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT}
        # Once more at once, for a connection that the broker has closed while nobody used it.
        again = Retry(NoBackoff(), 1)
        self._redis = Redis.from_url(_as_redis_url(broker_url), retry=again, **options) if broker_url else None
        self._take = self._redis.register_script(_SCRIPT) if self._redis else None
        self._away_until = 0.0

    async def take(self, key: str, per_minute: int) -> Count | None:
        """Count a request of `key`; None where it is not counted: there is no limit, or no broker."""
        if not per_minute or self._take is None or monotonic() < self._away_until:
            return None
        try:
            admitted, left, wait = await self._take(keys=[f"stillhouse:rate:{key}"], args=[WINDOW * 1000, per_minute])
        except (RedisError, OSError) as error:
            self._away_until = monotonic() + _PAUSE
            log.warning("requests are not counted for %.0f s, the broker is out of reach: %s", _PAUSE, error)
            return None
        return Count(bool(admitted), per_minute, int(left), max(1, ceil(wait / 1000)))

    async def close(self) -> None:
        if self._redis:
            await self._redis.aclose()


def _as_redis_url(broker_url: str) -> str:
    """Return the same place as redis-py names it: Celery has words of its own for Unix sockets."""
    return broker_url.replace("redis+socket://", "unix://", 1).replace("virtual_host=", "db=", 1)


def stranger(address: str, secret: bytes) -> str:
    """Return the bucket of an address that nobody vouches for; one of IPv6 stands for its whole network."""
    try:
        network = str(ip_network((address, 64), strict=False)) if ip_address(address).version == 6 else address
    except ValueError:
        network = address
    digest = hmac.new(secret, network.encode(), hashlib.sha256).digest()
    return f"stranger:{int.from_bytes(digest[:4]) % _SLOTS}"
