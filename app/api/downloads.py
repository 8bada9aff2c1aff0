"""Downloads: ranges, conditions and digests (RFC 9110, RFC 9530) over the content-addressed store."""

import base64
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from app.api.middleware import wants_no_body
from app.api.problems import problem
from app.contract.errors import RangeNotSatisfiable
from app.store import Store

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Content:
    """Stored bytes and how to present them."""

    sha256: str
    size: int
    name: str
    media_type: str


async def send(request: Request, content: Content, store: Store, *, inline: bool = False) -> Response:
    """Return the content: whole, in part (206), not at all (304, 416), or as a redirect to where it lies."""
    headers = _headers(content, inline=inline)
    if _unchanged(request, content):
        return Response(status_code=304, headers=headers)
    url = None if inline else await store.signed_url(content.sha256)
    if url:
        return RedirectResponse(url, status_code=307, headers=headers)
    part = _part(request, content)
    if part is None:
        refusal = problem(request.scope, RangeNotSatisfiable(f"the file has {content.size} bytes"))
        refusal.headers["Content-Range"] = f"bytes */{content.size}"
        return refusal
    start, end = part
    whole = (start, end) == (0, content.size)
    headers["Content-Length"] = str(end - start)
    if not whole:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{content.size}"
    status = 200 if whole else 206
    if wants_no_body(request):
        return Response(status_code=status, headers=headers, media_type=content.media_type)
    # An end only where it cuts something off: plain reads are the store's fastest.
    chunks = store.stream(content.sha256, start, None if end == content.size else end)
    body = await _begun(chunks)
    return StreamingResponse(body, status, headers, media_type=content.media_type)


async def _begun(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Read the first chunk before any header goes out, so that bytes that are gone are an error and no empty file."""
    first = await anext(chunks, b"")

    async def body() -> AsyncGenerator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return body()


def _headers(content: Content, *, inline: bool) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(content.sha256)).decode()
    disposition = "inline" if inline else "attachment"
    plain = content.name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    return {
        "ETag": f'"{content.sha256}"',
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{disposition}; filename=\"{plain}\"; filename*=UTF-8''{quote(content.name)}",
    }


def _unchanged(request: Request, content: Content) -> bool:
    wanted = request.headers.get("if-none-match")
    if wanted is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in wanted.split(",")]
    return "*" in tags or f'"{content.sha256}"' in tags


def _part(request: Request, content: Content) -> tuple[int, int] | None:
    """Return (start, end) of what to send, end exclusive; None for a range outside the content."""
    whole = (0, content.size)
    wanted = request.headers.get("range")
    condition = request.headers.get("if-range")
    if wanted is None or (condition is not None and condition.strip() != f'"{content.sha256}"'):
        return whole
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or match.groups() == ("", ""):
        return whole  # several ranges, other units, malformed: a server may send all
    return _bounds(match.group(1), match.group(2), content.size)


def _bounds(first: str, last: str, size: int) -> tuple[int, int] | None:
    if not first:
        return (max(size - int(last), 0), size) if int(last) else None
    if last and int(last) < int(first):
        return 0, size
    end = min(int(last) + 1, size) if last else size
    return (int(first), end) if int(first) < size else None
