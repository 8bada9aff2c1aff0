"""Each example of the OpenAPI document runs as it is: what Swagger UI's "Execute" sends."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.samples import service as samples
from tests.servers import wait_until

pytestmark = pytest.mark.xdist_group("stack")
TEACHER = Path(samples.__file__).with_name("teacher.safetensors")
LAST = ("delete_",)
"""Deleting comes after everything that looks."""

FOR_REAL = {"drain_worker", "undrain_worker"}
"""What would take from the other tests what they stand on."""


@pytest.fixture
def described(http: httpx2.Client) -> dict[str, Any]:
    document = dict(http.get("/openapi.json").json())
    wait_until(lambda: http.get(f"/v1/jobs/{samples.JOB}").json()["state"] == "succeeded", 120, "the sample job")
    return document


def test_every_example_runs(http: httpx2.Client, described: dict[str, Any]) -> None:
    operations = [(path, *entry) for path, methods in described["paths"].items() for entry in methods.items()]
    ran = 0
    for path, method, operation in sorted(operations, key=lambda one: one[2]["operationId"].startswith(LAST)):
        if operation["operationId"] in FOR_REAL:
            continue
        for sent in requests(path, operation):
            answer = http.request(method.upper(), **sent)
            assert answer.is_success, (method, path, answer.status_code, answer.text[:500])
            assert str(answer.status_code) in operation["responses"], (method, path, answer.status_code)
            ran += 1
    assert ran >= 25


def requests(path: str, operation: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what Swagger UI would send: one request for each example of the body."""
    headers = {}
    for parameter in operation.get("parameters", []):
        examples = list(parameter.get("examples", {}).values())
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["examples"]["sample"]["value"])
        elif parameter["in"] == "header" and examples:
            headers[parameter["name"]] = examples[0]["value"]
    sent = {"url": path, "headers": headers}
    if "requestBody" not in operation:
        return [sent]
    kind, body = next(iter(operation["requestBody"]["content"].items()))
    if kind == "multipart/form-data":  # the user picks a file
        return [{**sent, "files": {"file": TEACHER.read_bytes()}}]
    if kind == "application/offset+octet-stream":  # same
        return [{**sent, "content": TEACHER.read_bytes(), "headers": {**headers, "Content-Type": kind}}]
    return [{**sent, "json": example["value"]} for example in body["examples"].values()]
