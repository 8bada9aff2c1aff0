"""The rules of accounts and their API keys."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.accounts import tokens
from app.accounts.callers import Caller
from app.accounts.repository import AccountRepository, ApiKeyRepository
from app.contract.accounts import AccountChange, ApiKeyCreate, Scope
from app.contract.errors import Conflict, InvalidRequest, NotFound, Problem
from app.db.base import db_now, new_id
from app.db.tables import Account, ApiKey

_LONGEST = timedelta(days=36_500)
"""A lifetime that rotations can add again and again without leaving what databases hold."""


async def open_account(session: AsyncSession, name: str) -> Account:
    account = await AccountRepository(session).add(Account(id=new_id("tnt"), name=name))
    await session.refresh(account)
    return account


async def account(session: AsyncSession, account_id: str) -> Account:
    """Return an account. Raises NotFound."""
    found = await AccountRepository(session).get(account_id)
    if found is None:
        raise NotFound(f"there is no account {account_id}")
    return found


async def change(session: AsyncSession, account_id: str, wish: AccountChange) -> Account:
    """Change an account's name, and the limits that the wish names; one that it sets to null is a general one again."""
    found = await account(session, account_id)
    if wish.name is not None:
        found.name = wish.name
    if wish.limits is not None:
        limits = {**found.limits, **wish.limits.model_dump(exclude_unset=True)}
        found.limits = {name: most for name, most in limits.items() if most is not None}
    await session.flush()
    return found


async def key(session: AsyncSession, key_id: str) -> ApiKey:
    """Return a key. Raises NotFound."""
    found = await ApiKeyRepository(session).get(key_id)
    if found is None:
        raise NotFound(f"there is no API key {key_id}")
    return found


def _check_end(left: timedelta) -> None:
    if left <= timedelta(0):
        raise _invalid("expires_at", "this time has passed")
    if left > _LONGEST:
        raise _invalid("expires_at", f"this is more than {_LONGEST.days:,} days ahead; without it a key does not end")


async def create_key(session: AsyncSession, caller: Caller, wanted: ApiKeyCreate, pepper: bytes) -> tuple[ApiKey, str]:
    """Make a key; return it, and its secret in the form that is shown once.

    Raises InvalidRequest for an account that is not there, a time that has passed, and for a first key without the
    scope `admin`: from then on nobody could make another.
    """
    account_id = wanted.account or caller.tenant
    if await AccountRepository(session).get(account_id) is None:
        raise _invalid("account", f"there is no account {account_id}")
    if wanted.expires_at:
        _check_end(wanted.expires_at - datetime.now(UTC))
    if Scope.ADMIN not in wanted.scopes and not await ApiKeyRepository(session).any():
        raise _invalid("scopes", "the first key needs the scope `admin`: without one nobody could make another")
    scopes = [scope.value for scope in Scope if scope in wanted.scopes]
    row = ApiKey(tenant_id=account_id, name=wanted.name, scopes=scopes, expires_at=wanted.expires_at)
    return await _add(session, row, pepper)


async def revoke(session: AsyncSession, key_id: str) -> None:
    """Have a key refused from now on. Safe to repeat. Raises NotFound."""
    await key(session, key_id)
    await ApiKeyRepository(session).revoke(key_id)


async def rotate(session: AsyncSession, key_id: str, grace: float, pepper: bytes) -> tuple[ApiKey, str]:
    """Replace a key by one of the same name, scopes and lifetime; the old one is good for `grace` seconds more.

    Raises NotFound, and Conflict for a key that is not good any more or was replaced already.
    """
    old = await key(session, key_id)
    if not await ApiKeyRepository(session).replace(key_id, grace):
        raise Conflict("the key is expired, revoked, or replaced already; make a new one")
    lifetime = old.expires_at and old.expires_at - old.created_at
    expires_at = db_now(lifetime.total_seconds()) if lifetime else None
    row = ApiKey(tenant_id=old.tenant_id, name=old.name, scopes=old.scopes, expires_at=expires_at)
    return await _add(session, row, pepper)


async def _add(session: AsyncSession, row: ApiKey, pepper: bytes) -> tuple[ApiKey, str]:
    row.id = new_id("key")
    token = tokens.make(row.id)
    row.hash = tokens.hashed(token, pepper)
    await ApiKeyRepository(session).add(row)
    await session.refresh(row)
    return row, token


def _invalid(field: str, detail: str) -> InvalidRequest:
    return InvalidRequest(detail, [Problem(pointer=f"/{field}", detail=detail)])
