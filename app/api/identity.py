"""Around everything below /v1: nobody gets further, nor has a body read, without a key that allows the method, nor
more often than their account may.

What needs the scope `admin` says so at its router (`AdminOnly`).
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import Request
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette._utils import get_route_path  # the one that the router goes by: prefixes of proxies are off
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.accounts.callers import Caller, Callers
from app.api import problems
from app.api.tus import within
from app.contract import accounts
from app.contract.errors import RateLimited, StillhouseError, Unauthorized
from app.limits import rate
from app.limits.service import in_force

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Identified:
    """Puts the `Caller` into the request's scope, or answers 401, 403 or 429."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app, self.path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not within(self.path, get_route_path(scope)):
            await self.app(scope, receive, send)
            return
        request, told = Request(scope), dict[str, str]()

        async def send_with_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        try:
            scope["caller"] = await _admitted(request, told)
        except StillhouseError as error:
            await problems.problem(scope, error)(scope, receive, send_with_count)
        except (OperationalError, InterfaceError) as error:
            await problems.database_away(request, error)(scope, receive, send)
        else:
            await self.app(scope, receive, send_with_count)


async def _admitted(request: Request, told: dict[str, str]) -> Caller:
    """Return who calls. `told`: gets the headers about how often they may.

    Raises Unauthorized, Forbidden, and RateLimited. Whoever has no good key is counted by address, after the look at
    the key: a good one is never refused for what its neighbours send.
    """
    state = request.app.state
    try:
        caller = await _identified(request)
    except Unauthorized:
        address = request.client.host if request.client else ""
        most = state.settings.limit_strangers_per_minute
        _refuse_when_too_many(await state.rate.take(rate.stranger(address, state.pepper), most), told)
        raise
    most = in_force(state.settings, caller.limits).requests_per_minute
    _refuse_when_too_many(await state.rate.take(caller.tenant, most), told)
    caller.require(needed(request.method))
    return caller


async def _identified(request: Request) -> Caller:
    callers: Callers = request.app.state.callers
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    given = token.strip() if kind.lower() == "bearer" else None
    return await callers.identify(given, from_host=from_host(request))


def _refuse_when_too_many(count: rate.Count | None, told: dict[str, str]) -> None:
    if count:
        told.update(count.headers())
        if not count.admitted:
            raise RateLimited(count.quota, count.seconds)


def needed(method: str) -> accounts.Scope:
    """Return the scope that a request needs at least."""
    return accounts.Scope.READ if method in _SAFE else accounts.Scope.SUBMIT


def from_host(request: Request) -> bool:
    """Return whether somebody on this very host asks, and no page of another site that runs in a browser there.

    The address is the connection's; of a proxy that uvicorn trusts (FORWARDED_ALLOW_IPS) it is the one that the proxy
    names. A page of a strange site comes with its `Origin`, or with its own name as `Host` (DNS rebinding).
    """
    origin = request.headers.get("origin")
    named = [request.headers.get("host", ""), *([urlsplit(origin).netloc] if origin else [])]
    return _is_loopback(request.client.host if request.client else "") and all(map(_names_loopback, named))


def _names_loopback(authority: str) -> bool:
    try:
        host = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_loopback(host)


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)
