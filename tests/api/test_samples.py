"""The samples behind Swagger UI's examples: there when the document is asked for, once, under fixed ids."""

from app.samples import service as samples
from tests.api.conftest import House


def test_samples_come_with_the_document_and_only_then(house: House) -> None:
    assert house.client.get("/v1/models").json()["data"] == []
    for _ in range(2):
        assert house.client.get("/openapi.json").status_code == 200
    assert len(house.client.get("/v1/models").json()["data"]) == 2
    states = {job["id"]: job["state"] for job in house.client.get("/v1/jobs").json()["data"]}
    assert states == {
        samples.JOB: "queued",
        samples.SPARE_JOB: "cancelled",
        samples.CANCELLED_JOB: "cancelled",
        samples.PAUSED_JOB: "paused",
    }


def test_a_deleted_sample_comes_back(house: House) -> None:
    house.client.get("/openapi.json")
    assert house.client.post(f"/v1/jobs/{samples.JOB}/cancel").status_code == 202
    assert house.client.delete(f"/v1/jobs/{samples.JOB}").status_code == 204
    house.client.get("/openapi.json")
    assert house.client.get(f"/v1/jobs/{samples.JOB}").status_code == 200
