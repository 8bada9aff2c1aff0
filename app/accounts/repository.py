"""Every SQL statement about accounts, their keys, and the audit log. All of it belongs to the installation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.contract.accounts import Scope
from app.db.base import db_now
from app.db.owned import newest
from app.db.tables import Account, ApiKey, AuditEntry


class AccountRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def get(self, account_id: str) -> Account | None:
        return await self.session.get(Account, account_id)

    async def page(self, limit: int, before: str | None) -> list[Account]:
        """Return up to `limit` accounts, newest first, older than the id `before`."""
        return await newest(self.session, Account, limit, before)

    async def add(self, row: Account) -> Account:
        self.session.add(row)
        await self.session.flush()
        return row


class ApiKeyRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def any(self) -> bool:
        """Return whether a key was ever made: rows stay when keys are revoked."""
        return bool(await self.session.scalar(select(exists(select(ApiKey.id)))))

    async def any_admin(self) -> bool:
        """Return whether a key with the scope `admin` is good now."""
        scopes = await self.session.scalars(select(ApiKey.scopes).where(*_good()))
        return any(Scope.ADMIN in one for one in scopes)

    async def get(self, key_id: str) -> ApiKey | None:
        return await self.session.get(ApiKey, key_id)

    async def valid(self, key_id: str) -> tuple[ApiKey, Account] | tuple[None, None]:
        """Return a key that is good now, and whose it is."""
        query = select(ApiKey, Account).join(Account, Account.id == ApiKey.tenant_id)
        found = (await self.session.execute(query.where(ApiKey.id == key_id, *_good()))).one_or_none()
        return (found[0], found[1]) if found else (None, None)

    async def page(self, limit: int, before: str | None, account: str | None) -> list[ApiKey]:
        return await newest(self.session, ApiKey, limit, before, *([ApiKey.tenant_id == account] if account else []))

    async def add(self, row: ApiKey) -> ApiKey:
        self.session.add(row)
        await self.session.flush()
        return row

    async def revoke(self, key_id: str, seconds: float = 0.0) -> None:
        """Have a key refused from `seconds` on, or from when it was to be refused before."""
        sooner = or_(ApiKey.revoked_at.is_(None), ApiKey.revoked_at > db_now(seconds))
        mine = update(ApiKey).where(ApiKey.id == key_id, sooner)
        await self.session.execute(mine.values(revoked_at=db_now(seconds)))

    async def replace(self, key_id: str, seconds: float) -> bool:
        """Have a key that is good, and was not replaced yet, refused from `seconds` on; False where it is not so."""
        mine = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None), *_good())
        changed = await self.session.execute(mine.values(revoked_at=db_now(seconds)).returning(ApiKey.id))
        return changed.scalar_one_or_none() is not None

    async def note_use(self, key_id: str) -> None:
        await self.session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=db_now()))


def _good() -> tuple[ColumnElement[bool], ...]:
    return (
        or_(ApiKey.revoked_at.is_(None), ApiKey.revoked_at > db_now()),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > db_now()),
    )


@dataclass(frozen=True)
class AuditFilter:
    """What the audit log is narrowed to."""

    account: str | None = None
    key: str | None = None
    operation: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        same: dict[Any, Any] = {
            AuditEntry.tenant_id: self.account,
            AuditEntry.key_id: self.key,
            AuditEntry.operation: self.operation,
        }
        chosen: list[ColumnElement[bool]] = [column == value for column, value in same.items() if value]
        if self.created_after:
            chosen.append(AuditEntry.created_at >= self.created_after)
        if self.created_before:
            chosen.append(AuditEntry.created_at < self.created_before)
        return chosen


class AuditRepository:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add(self, row: AuditEntry) -> None:
        self.session.add(row)
        await self.session.flush()

    async def page(self, limit: int, before: str | None, *conditions: ColumnElement[bool]) -> list[AuditEntry]:
        return await newest(self.session, AuditEntry, limit, before, *conditions)
