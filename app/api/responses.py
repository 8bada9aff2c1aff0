"""The error answers of an operation, for the OpenAPI document."""

from http import HTTPStatus
from typing import Any

from app.api.problems import MEDIA_TYPE

_OF_TUS = {460: "Checksum Mismatch"}
_SCHEMA = {"$ref": "#/components/schemas/ProblemDocument"}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return `responses` for these statuses; 401, 403, 429, 500 and 503 belong to every operation."""
    return {status: _answer(status) for status in sorted({*statuses, 401, 403, 429, 500, 503})}


def _answer(status: int) -> dict[str, Any]:
    description = _OF_TUS.get(status) or HTTPStatus(status).phrase
    return {"description": description, "content": {MEDIA_TYPE: {"schema": _SCHEMA}}}
