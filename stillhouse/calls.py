"""Every request that the client makes, as data: no I/O, so that a transport of any kind can send it."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Generic, Literal, TypeVar
from uuid import uuid4

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from app.contract import resources
from app.contract.report import Report
from app.contract.workers import Running, Worker

_TUS = {"Tus-Resumable": "1.0.0"}
_SETTLING = 600.0
"""Seconds after the last byte in which the service checks a large file and stores it."""
Answer = TypeVar("Answer")
Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[bytes], Answer]
    params: Mapping[str, Any] = field(default_factory=dict)
    """Query parameters; those that are None are left out."""
    body: Any = None
    """Sent as JSON."""
    file: tuple[str, IO[bytes]] | None = None
    """Name and bytes of a multipart upload."""
    content: IO[bytes] | None = None
    """Sent as it is."""
    patience: float | None = None
    """Seconds without any answer, where it may take longer than others."""
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    """Whether sending it twice does no more than sending it once."""


def get(path: str, shape: type[Shape], **params: Any) -> Call[Shape]:
    return Call("GET", path, shape.model_validate_json, params=params)


def delete(path: str) -> Call[None]:
    return Call("DELETE", path, _nothing)


def change(path: str, shape: type[Shape], **fields: Any) -> Call[Shape]:
    """Return a PATCH that sets the fields that are not None: the same afterwards, however often it is sent."""
    body = {name: value for name, value in fields.items() if value is not None}
    return Call("PATCH", path, shape.model_validate_json, body=body)


def upload(name: str, content: IO[bytes]) -> Call[resources.File]:
    """Return the upload of a file. Repeatable: the service stores the same bytes once."""
    return Call("POST", "/v1/files", resources.File.model_validate_json, file=(name, content))


def begin_upload(name: str, size: int, sha256: str) -> Call[resources.Upload]:
    """Return the declaration of an upload. Repeatable: one that is not gone on with expires."""
    told = {"filename": name.encode(), "sha256": sha256.encode()}
    metadata = ",".join(f"{key} {b64encode(value).decode()}" for key, value in told.items())
    headers = {**_TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    return Call("POST", "/v1/uploads", resources.Upload.model_validate_json, headers=headers)


def append(upload: resources.Upload, rest: IO[bytes]) -> Call[None]:
    """Return the rest of an upload, from its offset on. Never repeated: the offset is asked for first."""
    kind = "application/offset+octet-stream"
    headers = {**_TUS, "Upload-Offset": str(upload.offset), "Content-Type": kind}
    return Call(
        "PATCH", f"/v1/uploads/{upload.id}", _nothing, content=rest, headers=headers, repeatable=False,
        patience=_SETTLING,
    )  # fmt: skip


def register(path: str, shape: type[Shape], **fields: Any) -> Call[Shape]:
    body = {name: value for name, value in to_jsonable_python(fields).items() if value is not None}
    return Call("POST", path, shape.model_validate_json, body=body, repeatable=False)


def submit(spec: Mapping[str, Any], idempotency_key: str | None) -> Call[resources.Job]:
    """Return a submission; its key makes it safe to send again."""
    key = idempotency_key or uuid4().hex
    return Call(
        "POST",
        "/v1/jobs",
        resources.Job.model_validate_json,
        body=to_jsonable_python(spec),
        headers={"Idempotency-Key": key},
    )


def validate(spec: Mapping[str, Any]) -> Call[resources.Validation]:
    return Call("POST", "/v1/jobs/validate", resources.Validation.model_validate_json, body=to_jsonable_python(spec))


def wish(job: str, verb: Literal["cancel", "pause", "resume", "retry"]) -> Call[resources.Job]:
    return Call("POST", f"/v1/jobs/{job}/{verb}", resources.Job.model_validate_json)


def clone(job: str, name: str | None, idempotency_key: str | None) -> Call[resources.Job]:
    """Return the submission of a job's spec once more; its key makes it safe to send again."""
    key = idempotency_key or uuid4().hex
    body = {} if name is None else {"name": name}
    path = f"/v1/jobs/{job}/clone"
    return Call("POST", path, resources.Job.model_validate_json, body=body, headers={"Idempotency-Key": key})


def drain(worker: str, running: Running) -> Call[Worker]:
    return Call("POST", f"/v1/workers/{worker}/drain", Worker.model_validate_json, body={"running": running})


def undrain(worker: str) -> Call[Worker]:
    return Call("POST", f"/v1/workers/{worker}/undrain", Worker.model_validate_json)


def rotate(path: str, shape: type[Shape], grace_seconds: int) -> Call[Shape]:
    """Return the replacement of a secret. Never repeated: the answer that was lost has the only copy of the new one."""
    body = {"grace_seconds": grace_seconds}
    return Call("POST", f"{path}/rotate", shape.model_validate_json, body=body, repeatable=False)


def act(path: str, shape: type[Shape]) -> Call[Shape]:
    """Return a POST without a body, of those that are safe to repeat."""
    return Call("POST", path, shape.model_validate_json)


def logs(job: str) -> Call[str]:
    return Call("GET", f"/v1/jobs/{job}/logs", lambda content: content.decode(errors="replace"))


def report(job: str) -> Call[Report]:
    return get(f"/v1/jobs/{job}/report", Report)


def _nothing(_content: bytes) -> None:
    return None
