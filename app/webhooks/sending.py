"""One try to deliver: a signed POST, bounded in time and in what is read of the answer, that follows nothing.

The connection goes to an address that was checked (`app.webhooks.receivers`), never to the name again; the name stays
in `Host`, in SNI, and is what the certificate must be of. No proxy and no `.netrc` of the environment is heeded.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from time import monotonic

import httpx2

from app.contract.webhooks import Attempt, DeliveryError
from app.settings import Settings
from app.webhooks import signing
from app.webhooks.addresses import Address
from app.webhooks.receivers import NotSent, Receiver, Receivers

_READ_BYTES = 1024
"""Of an answer; the rest is never fetched."""
_ADDRESSES = 4
"""Tried of one host, one after another."""
_BODY_SECONDS = 1.0
"""To wait for the first bytes of a body once the status is there."""
_LONGEST_DETAIL = 500
_HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"Stillhouse/{version('stillhouse')}",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True)
class Letter:
    """What is sent, and where."""

    url: str
    event: str
    body: bytes
    keys: Sequence[str]


@dataclass(frozen=True)
class Answer:
    """Of a receiver."""

    status: int
    text: str
    retry_after: float | None


@dataclass(frozen=True)
class Tried:
    """What came of a try."""

    attempt: Attempt
    retry_after: float | None = None
    """Seconds for which the receiver wants to be left alone."""


class Sender:
    """Sends letters, each over a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._receivers = Receivers(settings)
        self._seconds = settings.webhook_seconds
        self._tls = httpx2.create_ssl_context()  # SSL_CERT_FILE names authorities of one's own

    async def send(self, letter: Letter) -> Tried:
        """Try once; whatever the receiver does, an answer comes within the setting's seconds."""
        time_, began = datetime.now(UTC), monotonic()
        try:
            async with asyncio.timeout(self._seconds):
                answer = await self._post(letter)
        except (NotSent, httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as failure:
            return Tried(_attempt(time_, began, None, *self._read(failure)))
        error = _judged(answer.status)
        return Tried(_attempt(time_, began, answer.status, error, answer=answer.text), answer.retry_after)

    async def _post(self, letter: Letter) -> Answer:
        receiver = await self._receivers.find(letter.url)
        headers = {**_HEADERS, **signing.headers(letter.event, time.time(), letter.body, letter.keys)}
        failure = httpx2.ConnectError("it has no address")
        async with httpx2.AsyncClient(verify=self._tls, trust_env=False, timeout=self._seconds) as client:
            for address in receiver.addresses[:_ADDRESSES]:
                try:
                    return await _answer(client, _request(client, receiver, address, headers, letter.body))
                except httpx2.ConnectError as refusal:  # another address may listen
                    failure = refusal
        raise failure

    def _read(self, failure: Exception) -> tuple[DeliveryError, str]:
        if isinstance(failure, NotSent):
            return failure.error, failure.detail
        if isinstance(failure, TimeoutError | httpx2.TimeoutException):
            return DeliveryError.TIMED_OUT, f"no answer within {self._seconds:g} s"
        error = DeliveryError.CONNECTION_FAILED
        if isinstance(failure, httpx2.ProtocolError):
            error = DeliveryError.NO_HTTP
        elif _caused_by_tls(failure):
            error = DeliveryError.TLS_FAILED
        return error, str(failure) or type(failure).__name__

    def close(self) -> None:
        self._receivers.close()


def _request(
    client: httpx2.AsyncClient, receiver: Receiver, address: Address, headers: dict[str, str], body: bytes
) -> httpx2.Request:
    """Return a request to this very address, in the name of the URL's host."""
    named = {**headers, "Host": receiver.url.netloc.decode("ascii")}
    pinned = receiver.url.copy_with(host=str(address))
    extensions = {"sni_hostname": receiver.url.raw_host.decode("ascii")}
    return client.build_request("POST", pinned, headers=named, content=body, extensions=extensions)


async def _answer(client: httpx2.AsyncClient, request: httpx2.Request) -> Answer:
    response = await client.send(request, stream=True, follow_redirects=False)
    try:
        content = await _beginning(response)
    finally:
        await response.aclose()
    text = content.decode(errors="replace").replace("\0", "�")  # PostgreSQL's JSON has no NUL
    return Answer(response.status_code, text, _seconds(response.headers.get("Retry-After")))


async def _beginning(response: httpx2.Response) -> bytes:
    """Return the first bytes of a body; what the status says holds also where the body breaks off or never ends."""
    content = b""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in response.aiter_raw(_READ_BYTES):
                content += chunk
                if len(content) >= _READ_BYTES:
                    break
    except (httpx2.TransportError, TimeoutError):
        pass
    return content[:_READ_BYTES]


def _seconds(retry_after: str | None) -> float | None:
    """Return what `Retry-After` says in seconds; its other form, a date, is rare and left alone."""
    return float(retry_after) if retry_after and retry_after.isdecimal() and len(retry_after) < 9 else None


def _judged(status: int) -> DeliveryError | None:
    if status == HTTPStatus.GONE:
        return DeliveryError.GONE
    kind = status // 100
    return {2: None, 3: DeliveryError.REDIRECTED}.get(kind, DeliveryError.REFUSED)


def _caused_by_tls(failure: BaseException) -> bool:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _attempt(
    time_: datetime, began: float, status: int | None, error: DeliveryError | None, detail: str = "", answer: str = ""
) -> Attempt:
    return Attempt(
        time=time_,
        seconds=round(monotonic() - began, 3),
        status=status,
        error=error,
        detail=detail[:_LONGEST_DETAIL],
        answer=answer,
    )
