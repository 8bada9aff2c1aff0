"""The OpenAPI document: complete, unchanged unless meant, and shown without the internet."""

import json
import re
from pathlib import Path
from typing import Any

from app.api.docs import document
from app.main import create_app
from app.settings import Settings
from tests.api.conftest import House

SNAPSHOT = Path(__file__).parents[1] / "contract" / "openapi.json"


def described() -> dict[str, Any]:
    return json.loads(json.dumps(document(create_app(Settings()))))


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = described()["paths"].items()
    return [(method, path, operation) for path, methods in paths for method, operation in methods.items()]


def test_the_document_is_the_snapshot() -> None:
    assert described() == json.loads(SNAPSHOT.read_text()), "if the change is meant: make openapi"


def test_every_operation_is_described() -> None:
    for method, path, operation in operations():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", operation["operationId"]), path
        assert operation["summary"], path
        assert operation["description"], path
        if path.startswith("/v1"):
            assert {"500", "503"} <= operation["responses"].keys(), (method, path)


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_every_error_answer_is_problem_json() -> None:
    for method, path, operation in operations():
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")) and path != "/readyz":
                assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


def test_every_reference_resolves() -> None:
    whole = described()
    for reference in set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(whole))):
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
