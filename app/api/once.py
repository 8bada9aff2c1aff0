"""Creating something at most once: the Idempotency-Key at the HTTP layer."""

from collections.abc import Awaitable, Callable

from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from app.idempotency.service import Answer, fingerprint, once


async def answer_once(
    session: AsyncSession,
    tenant: str,
    key: str | None,
    asked: BaseModel,
    act: Callable[[], Awaitable[BaseModel]],
    of: str = "",
) -> JSONResponse:
    """Answer 201 with what `act` creates, or again with what the same request created before.

    `of`: the id in the request's path, where there is one.
    """

    async def create() -> Answer:
        return Answer(201, (await act()).model_dump(mode="json"))

    what = fingerprint(type(asked).__name__ + of, asked.model_dump(mode="json"))
    answer = await once(session, tenant, key, what, create)
    headers = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return JSONResponse(answer.body, answer.status, headers)
