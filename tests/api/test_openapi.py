"""The OpenAPI document: complete, unchanged unless meant, and shown without the internet."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import BaseRoute

from app.api.docs import document
from app.contract.webhooks import Told
from app.main import create_app
from app.settings import Settings
from app.webhooks import signing
from tests.api.conftest import House
from tests.api.test_api_keys import routes

SNAPSHOT = Path(__file__).parents[1] / "contract" / "openapi.json"
REFERENCE = re.compile(r'"\$ref": "#/components/schemas/([^"]+)"')


@cache
def described() -> dict[str, Any]:
    return json.loads(json.dumps(document(create_app(Settings()))))


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = described()["paths"].items()
    return [(method, path, operation) for path, methods in paths for method, operation in methods.items()]


@pytest.mark.owasp(9)
def test_the_document_is_the_snapshot() -> None:
    assert described() == json.loads(SNAPSHOT.read_text()), "if the change is meant: make openapi"


@pytest.mark.owasp(9)
def test_no_route_is_hidden() -> None:
    app = create_app(Settings())
    shown = {operation["operationId"] for _, _, operation in operations()}
    served = {(route.name, route.path) for route in routes(app.routes) if route.name not in shown}
    assert served == {("get_errors", "/errors"), ("get_error", "/errors/{code}")}
    pages = {route.path for route in app.routes if isinstance(route, BaseRoute) and hasattr(route, "path")}
    assert pages == {"/", "/docs", "/openapi.json", "/assets/swagger"}


@pytest.mark.owasp(3)
def test_no_body_takes_unknown_fields() -> None:
    """But where names are the user's own: labels, key maps, the document to be validated."""
    schemas = described()["components"]["schemas"]
    for method, path, operation in operations():
        for body in operation.get("requestBody", {}).get("content", {}).items():
            if body[0] == "application/json":
                for name in referred(body[1]["schema"], schemas):
                    taken = schemas[name]
                    assert "properties" not in taken or taken.get("additionalProperties") is False, (method, path, name)


def referred(schema: Any, schemas: dict[str, Any]) -> set[str]:
    """Return the names of all schemas below one."""
    found: set[str] = set()
    new = set(REFERENCE.findall(json.dumps(schema)))
    while new:
        found |= new
        new = set(REFERENCE.findall(json.dumps([schemas[name] for name in new]))) - found
    return found


def test_every_operation_is_described() -> None:
    for method, path, operation in operations():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"]), path
        assert operation["summary"], path
        assert operation["description"], path
        if path.startswith("/v1"):
            assert {"429", "500", "503"} <= operation["responses"].keys(), (method, path)


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_every_error_answer_is_problem_json() -> None:
    for method, path, operation in operations():
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")) and path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


def test_whatever_takes_json_tells_of_what_is_none_and_of_too_much() -> None:
    for method, path, operation in operations():
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert {"400", "413", "422"} <= set(operation["responses"]), f"{method} {path}"


def test_what_is_made_is_linked_to_all_that_takes_its_id() -> None:
    """A new resource is linked by itself, where its paths are as those of the others."""
    found = {operation["operationId"]: (path, operation) for _, path, operation in operations()}
    linked: set[str] = set()
    for name, (_, operation) in found.items():
        for status, answer in operation["responses"].items():
            assert status != "201" or answer["links"], name
            for link in answer.get("links", {}).values():
                linked.add(link["operationId"])
                taken = {one["name"] for one in found[link["operationId"]][1].get("parameters", [])}
                assert link.get("parameters", {}).keys() <= taken, (name, link)
    assert linked >= {name for name, (path, _) in found.items() if "{" in path}


def test_queries_and_headers_are_never_null() -> None:
    for method, path, operation in operations():
        for parameter in operation.get("parameters", []):
            assert "null" not in json.dumps(parameter["schema"]), (method, path, parameter["name"])


def test_what_webhooks_are_sent_is_described() -> None:
    """And its example is what the contract says."""
    told = described()["webhooks"]["job"]["post"]
    content = told["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/Told"}
    for example in content["examples"].values():
        assert Told.model_validate(example["value"]).model_dump(mode="json", exclude_none=True) == example["value"]
    headers = {parameter["name"] for parameter in told["parameters"]}
    assert headers == set(signing.headers("evt_1", 0, b"{}", [signing.new_secret()]))


def test_every_reference_resolves() -> None:
    whole = described()
    for reference in set(REFERENCE.findall(json.dumps(whole))):
        assert reference in whole["components"]["schemas"]


def test_swagger_ui_needs_no_internet(house: House) -> None:
    page = house.client.get("/docs").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert assets
    for asset in assets:
        assert asset.startswith("/")
        assert house.client.get(asset).status_code == 200
    assert "https://" not in page


def test_the_front_door_leads_to_the_documentation(house: House) -> None:
    assert house.client.get("/", follow_redirects=True).url.path == "/docs"
