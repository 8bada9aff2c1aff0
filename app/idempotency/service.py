"""A request with an Idempotency-Key happens once, however often it is sent.

Key, effect and answer are committed together: there is no time at which one is there without the others.
A second request that comes while the first is at work waits for it.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.errors import IdempotencyKeyReused
from app.idempotency.repository import IdempotencyRepository


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]
    replayed: bool = False


def fingerprint(route: str, body: Any) -> str:
    """Return the SHA-256 of what was asked."""
    return hashlib.sha256(json.dumps([route, body], sort_keys=True).encode()).hexdigest()


async def once(
    session: AsyncSession, tenant: str, key: str | None, asked: str, act: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Return the answer that this key got before, or act and keep the answer.

    Raises IdempotencyKeyReused where the key was used for something else. A request that fails leaves no key behind.
    """
    if key is None:
        return await act()
    repository = IdempotencyRepository(session)
    if await repository.reserve(tenant, key, asked):
        answer = await act()
        await repository.complete(tenant, key, answer.status, answer.body)
        return answer
    earlier = await repository.get(tenant, key)
    if earlier.fingerprint != asked:
        raise IdempotencyKeyReused("this Idempotency-Key was used for another request; take a new one")
    return Answer(earlier.status or 201, earlier.body or {}, replayed=True)
