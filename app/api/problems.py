"""Every error as application/problem+json (RFC 9457). The errors know code, status and text; here they are rendered."""

import logging
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from app.contract.errors import (
    ArtifactCorrupt,
    BadRequest,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Problem,
    ServiceUnavailable,
    StillhouseError,
)
from app.contract.explained import PROBLEMS, remedy
from app.contract.problems import problems_from
from app.contract.resources import ProblemDocument
from app.store import BlobMissing

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    app.add_exception_handler(StillhouseError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OperationalError, database_away)
    app.add_exception_handler(InterfaceError, database_away)
    app.add_exception_handler(BlobMissing, _blob_missing)
    app.add_exception_handler(Exception, _unexpected)


def problem(scope: Scope, error: StillhouseError) -> JSONResponse:
    """Return the answer to a request that went wrong."""
    document = ProblemDocument(
        type=f"{scope.get('root_path', '').rstrip('/')}/errors/{error.code}",
        title=error.title,
        status=error.status,
        detail=error.detail,
        code=error.code,
        help=remedy(PROBLEMS, error.code),
        request_id=request_id(scope),
        errors=error.errors,
    )
    headers = {"X-Request-ID": request_id(scope)}
    if error.challenge is not None:
        headers["WWW-Authenticate"] = error.challenge
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return JSONResponse(document.model_dump(mode="json"), error.status, headers, media_type=MEDIA_TYPE)


def request_id(scope: Scope) -> str:
    return str(scope.get("request_id", ""))


def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StillhouseError)
    return problem(request.scope, error)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    lines = error.errors()
    if any(line["type"] == "json_invalid" for line in lines):
        where = lines[0].get("ctx", {}).get("error", "")
        return problem(request.scope, BadRequest(f"the body is not JSON: {where}"))
    problems = _body_problems(lines, error.body) + _parameter_problems(lines)
    detail = "; ".join(f"{entry.pointer}: {entry.detail}" if entry.pointer else entry.detail for entry in problems[:3])
    return problem(request.scope, InvalidRequest(detail, problems))


def _body_problems(lines: Sequence[dict], body: object) -> list[Problem]:  # type: ignore[type-arg]
    return problems_from([{**line, "loc": line["loc"][1:]} for line in lines if line["loc"][0] == "body"], body)


def _parameter_problems(lines: Sequence[dict]) -> list[Problem]:  # type: ignore[type-arg]
    others = [line for line in lines if line["loc"][0] != "body"]
    return [Problem(detail=f"{line['loc'][0]} parameter '{line['loc'][-1]}': {line['msg']}") for line in others]


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    answer = problem(request.scope, _raised_by_the_framework(request, error))
    answer.headers.update(error.headers or {})
    if error.status_code == MethodNotAllowed.status:
        answer.headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return answer


def _raised_by_the_framework(request: Request, error: HTTPException) -> StillhouseError:
    if error.status_code == MethodNotAllowed.status:
        return MethodNotAllowed(f"{request.url.path} does not take {request.method}")
    if error.status_code == NotFound.status:
        return NotFound(f"there is nothing at {request.url.path}")
    every: list[type[StillhouseError]] = [*StillhouseError.__subclasses__(), StillhouseError]
    kinds = {kind.status: kind for kind in every}
    otherwise = BadRequest if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else StillhouseError
    return kinds.get(error.status_code, otherwise)(str(error.detail))


def _methods_of(request: Request) -> set[str]:
    """Return what the path takes: Starlette names only the methods of its first route."""
    methods: set[str] = set()
    for method in ("GET", "POST", "PATCH", "DELETE"):
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            methods |= {method, "HEAD"} if method == "GET" else {method}
    return methods


def database_away(request: Request, error: Exception) -> JSONResponse:
    log.error("database out of reach: %s", error)
    return problem(request.scope, ServiceUnavailable("the database cannot be reached; nothing was changed"))


def _blob_missing(request: Request, error: Exception) -> JSONResponse:
    log.error("the store lacks the blob %s", error)
    return problem(request.scope, ArtifactCorrupt("the store does not hold these bytes any more"))


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("the request failed", exc_info=error)
    detail = "something went wrong on our side; the log has it under this request id"
    return problem(request.scope, StillhouseError(detail))
