"""/v1/usage: the limits of an account, and what it has."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.accounts import service as accounts
from app.api.dependencies import CallerDep, LimitsDep, Reading, SettingsDep
from app.api.responses import errors
from app.contract.accounts import Scope
from app.contract.limits import Usage
from app.limits import service

router = APIRouter(tags=["accounts"])


@router.get("/usage", summary="Show limits and what is used", responses=errors(404, 422))
async def get_usage(
    caller: CallerDep,
    limits: LimitsDep,
    settings: SettingsDep,
    session: Reading,
    account: Annotated[
        str | None, Query(description="Another one than yours: for administrators", max_length=64)
    ] = None,
) -> Usage:
    """What your account may have and do, and what it has. A limit of 0 is none."""
    if account is None or account == caller.tenant:
        return await service.usage(session, caller.tenant, limits)
    caller.require(Scope.ADMIN)
    found = await accounts.account(session, account)
    return await service.usage(session, found.id, service.in_force(settings, found.limits))
