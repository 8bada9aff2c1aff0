"""Pages of other origins: none by default. Those that are let in send a key like everybody, never a cookie."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

_SENT = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID", "Range",
         "Tus-Resumable", "Upload-Checksum", "Upload-Length", "Upload-Metadata", "Upload-Offset",
         "X-Request-ID")  # fmt: skip
_READ = ("Content-Disposition", "Content-Range", "ETag", "Location", "RateLimit", "RateLimit-Policy", "Repr-Digest",
         "Retry-After", "Tus-Checksum-Algorithm", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version",
         "Upload-Expires", "Upload-Length", "Upload-Metadata", "Upload-Offset", "X-Request-ID")  # fmt: skip


def install(app: FastAPI, origins: Sequence[str]) -> None:
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=("DELETE", "GET", "HEAD", "PATCH", "POST"),
            allow_headers=_SENT,
            expose_headers=_READ,
        )
