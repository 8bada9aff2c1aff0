"""/v1/api_keys: make, look at, replace and revoke API keys."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from app.accounts import service
from app.accounts.repository import ApiKeyRepository
from app.api import render
from app.api.cursor import next_cursor
from app.api.dependencies import AdminOnly, CallerDep, Cursor, Limit, Reading, Writing
from app.api.parameters import KeyId
from app.api.responses import errors
from app.contract.accounts import ApiKey, ApiKeyCreate, ApiKeyRotation, NewApiKey, Scope
from app.contract.resources import Page

router = APIRouter(prefix="/api_keys", tags=["accounts"], dependencies=[AdminOnly])
_NEW = {
    "administrator": {"summary": "Everything", "value": {"name": "Ada's laptop", "scopes": list(Scope)}},
    "program": {"summary": "A program that looks", "value": {"name": "dashboard", "scopes": ["read"]}},
}
_ROTATION = {"grace": {"summary": "The old one is good for an hour more", "value": {"grace_seconds": 3600}}}
_AT_ONCE = ApiKeyRotation()


def _pepper(request: Request) -> bytes:
    return bytes(request.app.state.pepper)


Pepper = Annotated[bytes, Depends(_pepper)]


@router.post("", status_code=201, summary="Make an API key", responses=errors(400, 413, 422))
async def create_api_key(
    wanted: Annotated[ApiKeyCreate, Body(openapi_examples=_NEW)],
    caller: CallerDep,
    session: Writing,
    pepper: Pepper,
    response: Response,
) -> NewApiKey:
    """Make a key; `key` is its secret, shown this once. From the first key on every request needs one.

    Not to be repeated under an Idempotency-Key: the answer would have to be stored, and the secret with it.
    """
    response.headers["Cache-Control"] = "no-store"
    return render.new_api_key(*await service.create_key(session, caller, wanted, pepper))


@router.get("", summary="List API keys", responses=errors(400, 422))
async def list_api_keys(
    session: Reading,
    account: Annotated[str | None, Query(description="Only those of this account", max_length=64)] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[ApiKey]:
    """Keys, newest first, those that are expired or revoked too; never their secrets."""
    rows = await ApiKeyRepository(session).page(limit + 1, cursor, account)
    more, following = next_cursor(rows, limit)
    return Page(data=[render.api_key(row) for row in rows[:limit]], has_more=more, next_cursor=following)


@router.get("/{key_id}", summary="Show an API key", responses=errors(404))
async def get_api_key(key_id: KeyId, session: Reading) -> ApiKey:
    """Whose it is, what it is for, and when it was last used; never its secret."""
    return render.api_key(await service.key(session, key_id))


@router.post(
    "/{key_id}/rotate", status_code=201, summary="Replace an API key", responses=errors(400, 404, 409, 413, 422)
)
async def rotate_api_key(
    key_id: KeyId,
    session: Writing,
    pepper: Pepper,
    response: Response,
    wanted: Annotated[ApiKeyRotation, Body(openapi_examples=_ROTATION)] = _AT_ONCE,
) -> NewApiKey:
    """Make a key of the same name, scopes and lifetime, and have the old one end, at once or after a grace time.

    409 for a key that is not good any more, or was replaced already.
    """
    response.headers["Cache-Control"] = "no-store"
    return render.new_api_key(*await service.rotate(session, key_id, wanted.grace_seconds, pepper))


@router.delete("/{key_id}", status_code=204, summary="Revoke an API key", responses=errors(404))
async def revoke_api_key(key_id: KeyId, session: Writing) -> None:
    """Have a key refused from the next request on, one in its grace time too. Safe to repeat; it stays in the list."""
    await service.revoke(session, key_id)
