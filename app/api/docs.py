"""/docs (Swagger UI, its assets from the package, never from a CDN) and /openapi.json."""

import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from app.api import links
from app.api.dependencies import SCHEME
from app.api.identity import needed
from app.api.problems import MEDIA_TYPE
from app.api.security_headers import hash_of, policy
from app.api.told import told
from app.contract.resources import ProblemDocument
from app.samples import service as samples

_UI = {"tryItOutEnabled": True, "displayRequestDuration": True, "filter": True, "docExpansion": "list"}


def install(app: FastAPI) -> None:
    assets = StaticFiles(packages=[("fastapi_swagger", "resources")])
    app.mount("/assets/swagger", assets, name="swagger")
    app.add_route("/docs", _docs, include_in_schema=False)
    app.add_route("/openapi.json", _openapi, include_in_schema=False)
    app.add_route("/", _front_door, include_in_schema=False)


async def _docs(request: Request) -> HTMLResponse:
    root = request.scope.get("root_path", "").rstrip("/")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="Stillhouse API",
        swagger_js_url=f"{root}/assets/swagger/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/assets/swagger/swagger-ui.css",
        swagger_favicon_url=f"{root}/assets/swagger/favicon-32x32.png",
        swagger_ui_parameters=_UI,
    )
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body).decode())
    return page


def _policy(page: str) -> str:
    """Return what Swagger UI needs and nothing else: its own files, the one script in the page, styles that it sets."""
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return policy(
        f"script-src 'self' {hash_of(script)}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
    )


async def _openapi(request: Request) -> JSONResponse:
    """Return the document, and see to it that the samples that its examples name are there."""
    state = request.app.state
    await samples.ensure(state.database, state.store, state.settings.max_parameters)
    return JSONResponse(document(request.app))


async def _front_door(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{request.scope.get('root_path', '').rstrip('/')}/docs")


def document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with validation errors as the problem+json that they are."""
    if not app.openapi_schema:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            webhooks=told.routes,
        )
        schema["components"]["schemas"]["ProblemDocument"] = ProblemDocument.model_json_schema(
            ref_template="#/components/schemas/{model}"
        )
        _hoist(schema["components"]["schemas"])
        _mend_validation_errors(schema)
        _mend_parameters(schema)
        _name_scopes(schema)
        links.add(schema)
        app.openapi_schema = schema
    return app.openapi_schema


def _hoist(schemas: dict[str, Any]) -> None:
    schemas.update(schemas["ProblemDocument"].pop("$defs", {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)


def _mend_validation_errors(schema: dict[str, Any]) -> None:
    answer = {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    for path in schema["paths"].values():
        for operation in path.values():
            if "422" in operation["responses"]:
                operation["responses"]["422"] = {
                    "description": "Unprocessable Content",
                    "content": {MEDIA_TYPE: answer},
                }


def _mend_parameters(schema: dict[str, Any]) -> None:
    """Leave null out of what queries and headers may be: they are text, or they are not there."""
    for path in schema["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                for kind in parameter["schema"].pop("anyOf", []):
                    parameter["schema"] |= {} if kind == {"type": "null"} else kind


def _name_scopes(schema: dict[str, Any]) -> None:
    """Say which scope of a key each operation needs; the administrators' say so themselves."""
    for path in schema["paths"].values():
        for method, operation in path.items():
            if wanted := operation.get("security"):
                named = [scopes for one in wanted for scopes in one.values() if scopes]
                operation["security"] = [{SCHEME: named[0] if named else [needed(method.upper()).value]}]
