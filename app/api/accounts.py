"""/v1/accounts: the tenants of this installation."""

from typing import Annotated

from fastapi import APIRouter, Body

from app.accounts import service
from app.accounts.repository import AccountRepository
from app.api import render
from app.api.cursor import next_cursor
from app.api.dependencies import AdminOnly, Cursor, Limit, Reading, Writing
from app.api.parameters import AccountId
from app.api.responses import errors
from app.contract.accounts import Account, AccountChange, AccountCreate
from app.contract.resources import Page

router = APIRouter(prefix="/accounts", tags=["accounts"], dependencies=[AdminOnly])
_NEW = {"lab": {"summary": "For a group of people", "value": {"name": "speech lab"}}}
_CHANGE = {
    "name": {"summary": "Another name", "value": {"name": "default"}},
    "limits": {"summary": "More room, and as much of all else as others", "value": {"limits": {"queued_jobs": 5000}}},
}


@router.post("", status_code=201, summary="Open an account", responses=errors(400, 413, 422))
async def create_account(wanted: Annotated[AccountCreate, Body(openapi_examples=_NEW)], session: Writing) -> Account:
    """Make a tenant. Its keys see nothing of other accounts, and others nothing of it."""
    return render.account(await service.open_account(session, wanted.name))


@router.get("", summary="List accounts", responses=errors(400, 422))
async def list_accounts(session: Reading, limit: Limit = 20, cursor: Cursor = None) -> Page[Account]:
    """Accounts, newest first; the default one is the last."""
    rows = await AccountRepository(session).page(limit + 1, cursor)
    more, following = next_cursor(rows, limit)
    return Page(data=[render.account(row) for row in rows[:limit]], has_more=more, next_cursor=following)


@router.get("/{account_id}", summary="Show an account", responses=errors(404))
async def get_account(account_id: AccountId, session: Reading) -> Account:
    """Its name, its own limits, and since when it is there."""
    return render.account(await service.account(session, account_id))


@router.patch("/{account_id}", summary="Change an account", responses=errors(400, 404, 413, 422))
async def change_account(
    account_id: AccountId, change: Annotated[AccountChange, Body(openapi_examples=_CHANGE)], session: Writing
) -> Account:
    """Give an account another name (its id stays), or limits that are not as the service's settings say.

    Limits that are left out stay as they are; null takes one back, 0 is none. They hold from the next request on.
    """
    return render.account(await service.change(session, account_id, change))
