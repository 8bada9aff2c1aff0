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

from app.contract.errors import InvalidRequest, Problem, ServiceUnavailable, StillhouseError
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


def problem(
    request_id: str, status: int, code: str, title: str, detail: str, errors: Sequence[Problem] = ()
) -> JSONResponse:
    """Return the answer to a request that went wrong."""
    document = ProblemDocument(
        type=f"https://stillhouse.dev/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
        errors=list(errors),
    )
    headers = {"X-Request-ID": request_id}
    return JSONResponse(document.model_dump(mode="json"), status, headers, media_type=MEDIA_TYPE)


def render(request: Request, error: StillhouseError) -> JSONResponse:
    answer = problem(request_id(request), error.status, error.code, error.title, error.detail, error.errors)
    if error.challenge is not None:
        answer.headers["WWW-Authenticate"] = error.challenge
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def request_id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))


def _ours(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StillhouseError)
    return render(request, error)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    lines = error.errors()
    if any(line["type"] == "json_invalid" for line in lines):
        where = lines[0].get("ctx", {}).get("error", "")
        detail = f"the body is not JSON: {where}"
        return problem(request_id(request), 400, "bad_request", "Bad request", detail)
    problems = _body_problems(lines, error.body) + _parameter_problems(lines)
    detail = "; ".join(f"{entry.pointer}: {entry.detail}" if entry.pointer else entry.detail for entry in problems[:3])
    return render(request, InvalidRequest(detail, problems))


def _body_problems(lines: Sequence[dict], body: object) -> list[Problem]:  # type: ignore[type-arg]
    return problems_from([{**line, "loc": line["loc"][1:]} for line in lines if line["loc"][0] == "body"], body)


def _parameter_problems(lines: Sequence[dict]) -> list[Problem]:  # type: ignore[type-arg]
    others = [line for line in lines if line["loc"][0] != "body"]
    return [Problem(detail=f"{line['loc'][0]} parameter '{line['loc'][-1]}': {line['msg']}") for line in others]


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    known = {kind.status: kind for kind in StillhouseError.__subclasses__()}.get(error.status_code)
    title = known.title if known else HTTPStatus(error.status_code).phrase
    code = known.code if known else title.lower().replace(" ", "_").replace("-", "_")
    detail = f"there is nothing at {request.url.path}" if error.detail == "Not Found" else str(error.detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not take {request.method}"
    answer = problem(request_id(request), error.status_code, code, title, detail)
    answer.headers.update(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_methods_of(request)))
    return answer


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
    return render(request, ServiceUnavailable("the database cannot be reached; nothing was changed"))


def _blob_missing(request: Request, error: Exception) -> JSONResponse:
    log.error("the store lacks the blob %s", error)
    return render(request, ServiceUnavailable("the store does not hold these bytes any more"))


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("the request failed", exc_info=error)
    detail = "something went wrong on our side; the log has it under this request id"
    return problem(request_id(request), 500, StillhouseError.code, StillhouseError.title, detail)
