"""The one place of the client that talks to the network: sends `Call`s, repeats them, turns errors into exceptions."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

import httpx2
from pydantic import SecretStr, ValidationError

from app.contract.resources import ProblemDocument
from stillhouse.calls import Call
from stillhouse.errors import NotFound, ServiceError, StillhouseError, UnexpectedAnswer, Unreachable, service_error
from stillhouse.retry import NEVER_ARRIVED, RetryRules

Answer = TypeVar("Answer")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Transport:
    """A connection pool to one service."""

    def __init__(self, url: str, *, timeout: float, rules: RetryRules, api_key: SecretStr | None = None) -> None:
        self.url = url.rstrip("/")
        self.rules = rules
        self._timeout = timeout
        self._client = _client(self.url, _patience(timeout))
        if api_key:
            # Of this client only: what a redirect leads to gets one of its own.
            self._client.headers["Authorization"] = f"Bearer {_checked_key(api_key)}"

    def close(self) -> None:
        self._client.close()

    def send(self, call: Call[Answer], rules: RetryRules | None = None) -> Answer:
        """Send the call, again where the rules (by default the transport's) allow it, and return its answer.

        Raises StillhouseError.
        """
        rules = rules or self.rules
        for attempt in count():
            try:
                response = self._client.send(self._request(call))
            except httpx2.TransportError as error:
                wait = rules.after_break(error, attempt, repeatable=call.repeatable)
                failure: StillhouseError = self.unreachable(error)
            else:
                if response.is_success:
                    return self._read(call, response)
                wait = rules.after_refusal(response, attempt, repeatable=call.repeatable)
                failure = refusal(response)
                if attempt and call.method == "DELETE" and isinstance(failure, NotFound):
                    return call.read(b"")  # the try whose answer was lost did it
            if wait is None:
                raise failure
            time.sleep(wait)
        raise AssertionError

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], read_timeout: float) -> Iterator[httpx2.Response]:
        """Open one GET without reading it: redirects are followed with the Range header only. No repeats.

        Raises ServiceError for an error answer and httpx2.TransportError where the connection breaks.
        """
        timeout = _patience(self._timeout, read=read_timeout)
        with self._client.stream("GET", path, headers=headers, timeout=timeout) as response:
            target = response.headers.get("Location")
            if not (response.is_redirect and target):
                yield _checked(response)
                return
        # A signed URL of another server: our headers are none of its business.
        foreign = str(response.url.join(target))
        ranged = {name: value for name, value in headers.items() if name in {"Range", "Accept-Encoding"}}
        with _client(foreign, timeout) as outside, outside.stream("GET", foreign, headers=ranged) as response:
            yield _checked(response)

    def unreachable(self, error: httpx2.TransportError) -> Unreachable:
        """Return a broken connection as the exception that users see."""
        if isinstance(error, NEVER_ARRIVED):
            return Unreachable(f"no Stillhouse answers at {self.url}")
        return Unreachable(f"the connection to {self.url} broke: {error or type(error).__name__}")

    def _request(self, call: Call[Answer]) -> httpx2.Request:
        return self._client.build_request(
            call.method,
            call.path,
            params={name: value for name, value in call.params.items() if value is not None},
            json=call.body,
            files={"file": call.file} if call.file else None,
            content=call.content,
            timeout=_patience(self._timeout, read=call.patience),
            headers=call.headers,
        )

    def _read(self, call: Call[Answer], response: httpx2.Response) -> Answer:
        try:
            return call.read(response.content)
        except ValidationError as error:
            message = f"{self.url} does not answer {call.method} {call.path} like a Stillhouse: {error}"
            raise UnexpectedAnswer(message) from error


def _checked_key(api_key: SecretStr) -> str:
    """Return the key, if it can stand in a header: the error of a library that it cannot would show it."""
    key = api_key.get_secret_value()
    if not re.fullmatch(r"[\x21-\x7e]+", key):
        raise StillhouseError("the API key has characters that no key has; it looks like sh_… and has no spaces")
    return key


def refusal(response: httpx2.Response) -> ServiceError:
    """Return an error answer, its body read, as an exception; proxies' pages too."""
    try:
        return service_error(ProblemDocument.model_validate_json(response.content))
    except ValidationError:
        phrase = response.reason_phrase or "error"
        problem = ProblemDocument(
            type="about:blank",
            title=phrase,
            status=response.status_code,
            detail=f"{response.request.method} {response.request.url.path}: {phrase}",
            code=f"http_{response.status_code}",
            request_id=response.headers.get("X-Request-ID", ""),
        )
        return service_error(problem)


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.is_success:
        return response
    response.read()
    raise refusal(response)


def _patience(seconds: float, read: float | None = None) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=min(seconds, 10.0), read=read or seconds)


def _client(url: str, timeout: httpx2.Timeout) -> httpx2.Client:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise Unreachable(f"{url!r} is not a URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise Unreachable(f"{url!r} is not a URL of a service: it should look like http://127.0.0.1:8000")
    # A proxy from the environment cannot reach this host's own loopback.
    return httpx2.Client(base_url=url, timeout=timeout, trust_env=parsed.host not in LOOPBACK)
