"""Each example of the OpenAPI document runs as it is: what Swagger UI's "Execute" sends."""

from typing import Any

import httpx2
import pytest

from app.samples import service as samples
from tests.openapi import operations
from tests.servers import wait_until

pytestmark = pytest.mark.xdist_group("stack")
LAST = ("delete_",)
"""Deleting comes after everything that looks."""

FOR_REAL = {"drain_worker", "undrain_worker", "create_api_key", "get_api_key", "rotate_api_key", "revoke_api_key"}
"""What would take from the other tests what they stand on; tests/api has them."""


@pytest.fixture
def described(http: httpx2.Client) -> dict[str, Any]:
    document = dict(http.get("/openapi.json").json())
    wait_until(lambda: http.get(f"/v1/jobs/{samples.JOB}").json()["state"] == "succeeded", 120, "the sample job")
    return document


def test_every_example_runs(http: httpx2.Client, described: dict[str, Any]) -> None:
    ran = 0
    for operation in sorted(operations(described), key=lambda one: one.id.startswith(LAST)):
        if operation.id in FOR_REAL:
            continue
        for sent in operation.requests():
            answer = http.request(**sent)
            assert answer.is_success, (operation.id, answer.status_code, answer.text[:500])
            assert str(answer.status_code) in operation.described["responses"], (operation.id, answer.status_code)
            ran += 1
    assert ran >= 25
