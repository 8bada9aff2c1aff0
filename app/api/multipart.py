"""A multipart form with one file, read as a stream: nothing is spooled, whatever the size."""

from collections.abc import AsyncGenerator
from email.message import Message
from typing import Any

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError

from app.contract.errors import BadRequest, InvalidRequest, Problem, UnsupportedMediaType

_FIELD_LIMIT = 4096
_HEADERS_LIMIT = 8192


class FileForm:
    """The form's parts as they come in: small fields are kept in `fields`, the part `file` is passed on."""

    def __init__(self, request: Request) -> None:
        self.fields: dict[str, str] = {}
        self.filename = ""
        self._request = request
        self._found = self._ended = False
        self._headers: dict[str, str] = {}
        self._header_name = self._header_value = self._part = b""
        self._in_file = False
        self._name = ""
        self._chunks: list[bytes] = []
        self._parser = MultipartParser(_boundary(request), self._callbacks())

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the file's bytes. Raises BadRequest where the form breaks off or is malformed."""
        try:
            async for data in self._request.stream():
                self._parser.write(data)
                for chunk in self._chunks:
                    yield chunk
                self._chunks.clear()
        except MultipartParseError as error:
            raise BadRequest(f"the multipart form is malformed: {error}") from error
        if not self._ended:
            raise BadRequest("the upload ended before the form's closing boundary; nothing was kept")
        if not self._found:
            detail = "the form has no part named 'file' with a filename"
            raise InvalidRequest(detail, [Problem(pointer="/file", detail=detail)])

    def _callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._header_field,
            "on_header_value": self._header_text,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open_part,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._headers, self._part, self._in_file = {}, b"", False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._bound(self._header_name, _HEADERS_LIMIT)

    def _header_text(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._bound(self._header_value, _HEADERS_LIMIT)

    def _end_header(self) -> None:
        self._headers[self._header_name.decode("latin-1").lower()] = self._header_value.decode("utf-8", "replace")
        self._header_name = self._header_value = b""

    def _open_part(self) -> None:
        disposition = Message()
        disposition["content-disposition"] = self._headers.get("content-disposition", "")
        parameters = dict(disposition.get_params([], header="content-disposition"))
        self._name = parameters.get("name", "")
        self._in_file = self._name == "file" and "filename" in parameters
        if self._in_file:
            if self._found:
                raise BadRequest("the form has two files; send one a request")
            self._found, self.filename = True, safe_name(parameters["filename"])

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._in_file:
            self._chunks.append(data[start:end])
        else:
            self._part += data[start:end]
            self._bound(self._part, _FIELD_LIMIT)

    def _end_part(self) -> None:
        if not self._in_file:
            self.fields[self._name] = self._part.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True

    def _bound(self, data: bytes, limit: int) -> None:
        if len(data) > limit:
            raise BadRequest(f"a header or field of the form is longer than {limit} bytes; the file's part is 'file'")


def _boundary(request: Request) -> bytes:
    content_type = Message()
    content_type["content-type"] = request.headers.get("content-type", "")
    boundary = content_type.get_param("boundary")
    if content_type.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        raise UnsupportedMediaType("send the file as multipart/form-data, in a part named 'file'")
    return boundary.encode("latin-1", "replace")


def safe_name(name: str) -> str:
    """Return the last part of a path without control characters, at most 255 characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in last if character.isprintable()).strip()[:255] or "file"
