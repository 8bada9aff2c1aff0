"""Where a webhook's URL leads: looked up once, every address checked, and only a checked one is ever connected to."""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_network

import httpx2

from app.contract.errors import InvalidRequest, Problem
from app.contract.explained import DELIVERIES, remedy
from app.contract.webhooks import DeliveryError
from app.settings import Settings
from app.webhooks.addresses import Address, Network, allowed, parsed

_CHECK_SECONDS = 1.5
"""That whoever makes a webhook waits for a name to be found."""
_LOOKUPS = 64
"""Threads, which hang as long as a slow name server wants."""


class NotSent(Exception):
    """Nothing was sent, or no answer came."""

    def __init__(self, error: DeliveryError, detail: str) -> None:
        super().__init__(detail)
        self.error, self.detail = error, detail


@dataclass(frozen=True)
class Receiver:
    """A URL whose host was looked up: `addresses` are all that it has, and all are allowed."""

    url: httpx2.URL
    addresses: Sequence[Address]


class Receivers:
    """Looks up hosts, under the rules of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._networks: list[Network] = [ip_network(one) for one in settings.webhook_networks]
        self._http = settings.webhook_http
        self._lookups = ThreadPoolExecutor(_LOOKUPS, "webhook-lookup")

    async def check(self, url: str) -> None:
        """Raise InvalidRequest for a URL that may not be sent to, as far as can be told now and at once."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self.find(url)
        except TimeoutError:
            return
        except NotSent as refusal:
            if refusal.error is DeliveryError.ADDRESS_REFUSED:
                detail = f"{refusal.detail}; {remedy(DELIVERIES, refusal.error)}"
                raise InvalidRequest(f"/url: {detail}", [Problem(pointer="/url", detail=detail)]) from refusal

    async def find(self, url: str) -> Receiver:
        """Return where a URL leads now. Raises NotSent."""
        target = httpx2.URL(url)
        if target.scheme != "https" and not self._http:
            raise NotSent(DeliveryError.ADDRESS_REFUSED, "only https is allowed here")
        addresses = await self._addresses(target)
        if not all(allowed(address, self._networks) for address in addresses):
            raise NotSent(DeliveryError.ADDRESS_REFUSED, f"{target.host} is not on the public internet")
        return Receiver(target, addresses)

    async def _addresses(self, target: httpx2.URL) -> list[Address]:
        host = target.raw_host.decode("ascii")
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._lookups, _look_up, host)
        except (OSError, ValueError) as error:  # names that no name server can be asked for are a ValueError
            raise NotSent(DeliveryError.NAME_NOT_FOUND, f"{host} was not found: {error}") from error
        return list(dict.fromkeys(map(parsed, found)))

    def close(self) -> None:
        self._lookups.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
