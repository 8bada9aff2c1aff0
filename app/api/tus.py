"""tus 1.0.0 (https://tus.io/protocols/resumable-upload) at the HTTP layer: its headers, read and written."""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncGenerator
from email.utils import format_datetime
from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware import wants_no_body
from app.api.multipart import safe_name
from app.contract.errors import BadRequest, InvalidRequest, PreconditionFailed
from app.db.tables import Upload
from app.uploads.checksum import ALGORITHMS
from app.uploads.service import Announced

VERSION = "1.0.0"
MEDIA_TYPE = "application/offset+octet-stream"
FILE_HEADER = "Stillhouse-File"
"""The id of the file that came of an upload, once it is whole."""
_METADATA_LIMIT = 4096


class Tus:
    """Around the requests of uploads: names the version, and takes a method that a proxy would not let through."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self.app, self.path = app, path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not within(self.path, scope["path"]):
            await self.app(scope, receive, send)
            return
        override = Headers(scope=scope).get("X-HTTP-Method-Override", "").upper()
        if override in {"PATCH", "DELETE", "HEAD"}:
            scope = {**scope, "method": override}

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = headers["Tus-Version"] = VERSION
            await send(message)

        await self.app(scope, receive, send_with_version)


def within(path: str, found: str) -> bool:
    """Return whether `found` is the path or lies below it."""
    return found == path or found.startswith(f"{path}/")


def _speaks_tus(
    request: Request,
    version: Annotated[
        str | None,
        Header(
            alias="Tus-Resumable",
            description="The protocol's version; GET can do without.",
            json_schema_extra={"enum": [VERSION]},
            openapi_examples={"tus": {"summary": "the only one", "value": VERSION}},
        ),
    ] = None,
) -> None:
    reads = request.method == "GET" and not wants_no_body(request)
    if version != VERSION and not reads:
        raise PreconditionFailed(f"this is tus {VERSION}; the header Tus-Resumable names {version or 'no version'}")


SpeaksTus = Depends(_speaks_tus)


def capabilities(max_bytes: int) -> dict[str, str]:
    """Return what OPTIONS tells; `max_bytes`: of one file, 0 where there is no bound."""
    return {
        "Tus-Extension": "creation,checksum,termination,expiration",
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
        **({"Tus-Max-Size": str(max_bytes)} if max_bytes else {}),
    }


def headers_of(upload: Upload, offset: int) -> dict[str, str]:
    """Return how far an upload is, as headers."""
    headers = {"Upload-Offset": str(offset), "Upload-Length": str(upload.size), "Cache-Control": "no-store"}
    if upload.described:
        headers["Upload-Metadata"] = upload.described
    if upload.file_id:
        headers[FILE_HEADER] = upload.file_id
    else:
        headers["Upload-Expires"] = format_datetime(upload.expires_at, usegmt=True)
    return headers


def announced(size: int, metadata: str | None) -> Announced:
    """Read Upload-Length and Upload-Metadata; the keys `filename` (or `name`) and `sha256` mean something here."""
    told = _metadata(metadata or "")
    name, sha256 = told.get("filename") or told.get("name") or b"", told.get("sha256")
    if sha256 is not None and not re.fullmatch(rb"[0-9a-fA-F]{64}", sha256):
        raise InvalidRequest("Upload-Metadata: sha256 takes 64 hex digits")
    digest = sha256.decode().lower() if sha256 else None
    return Announced(safe_name(name.decode("utf-8", "replace")), size, digest, metadata or None)


def _metadata(header: str) -> dict[str, bytes]:
    """Read pairs of a key and a value in base64. Raises BadRequest."""
    if len(header) > _METADATA_LIMIT:
        raise BadRequest(f"Upload-Metadata is longer than {_METADATA_LIMIT} bytes")
    pairs = [pair.strip().partition(" ") for pair in header.split(",") if pair.strip()]
    try:
        told = {key: base64.b64decode(value.strip(), validate=True) for key, _, value in pairs}
    except binascii.Error as error:
        raise BadRequest("Upload-Metadata takes pairs of a key and a value in base64, with commas between") from error
    if len(told) < len(pairs):
        raise BadRequest("Upload-Metadata has a key twice")
    return told


async def body(request: Request, silence: float) -> AsyncGenerator[bytes]:
    """Yield what comes. Raises BadRequest where the connection breaks, or nothing comes for `silence` seconds."""
    pieces = request.stream()
    try:
        while True:
            async with asyncio.timeout(silence):
                piece = await anext(pieces, b"")
            if not piece:
                return
            yield piece
    except ClientDisconnect as error:
        raise BadRequest("the connection broke; what came is kept") from error
    except TimeoutError as error:
        raise BadRequest(f"nothing came for {silence:g} s; what came before is kept") from error
