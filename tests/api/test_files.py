"""Uploads, whole and broken."""

import hashlib
from pathlib import Path

import httpx2
import pytest

from app.api.multipart import safe_name
from tests.api.conftest import House, running


def blobs(house: House) -> list[Path]:
    return [path for path in (house.settings.data / "blobs").rglob("*") if path.is_file()]


def test_an_upload_is_hashed_and_shown(house: House) -> None:
    content = b"x" * 3_000_000
    answer = house.upload(content, "teacher.safetensors", sha256=hashlib.sha256(content).hexdigest().upper())
    assert answer.status_code == 201
    file = answer.json()
    assert (file["name"], file["size"], file["sha256"]) == (
        "teacher.safetensors",
        len(content),
        hashlib.sha256(content).hexdigest(),
    )
    assert house.client.get(f"/v1/files/{file['id']}").json() == file


def test_equal_bytes_are_stored_once(house: House) -> None:
    first, second = house.upload(b"same").json(), house.upload(b"same").json()
    assert first["id"] != second["id"]
    assert len(blobs(house)) == 1


def test_a_wrong_hash_is_refused(house: House) -> None:
    answer = house.upload(b"abc", sha256="0" * 64)
    assert answer.status_code == 422
    assert answer.json()["code"] == "digest_mismatch"
    assert answer.json()["errors"][0]["pointer"] == "/sha256"
    assert hashlib.sha256(b"abc").hexdigest() in answer.json()["detail"]


@pytest.mark.parametrize(("form", "status"), [({"sha256": "xyz"}, 422), ({}, 422)])
def test_an_empty_file_or_a_hash_that_is_none(house: House, form: dict[str, str], status: int) -> None:
    assert house.upload(b"", **form).status_code == status


def test_a_form_without_the_file_names_the_field(house: House) -> None:
    answer = house.client.post("/v1/files", files={"upload": ("a.bin", b"abc")})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/file", "detail": "the form has no part named 'file' with a filename"}
    ]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", ""])
def test_something_else_than_a_form_is_415(house: House, content_type: str) -> None:
    answer = house.client.post("/v1/files", content=b"abc", headers={"content-type": content_type})
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_cut_before_its_end_leaves_nothing(house: House) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = house.client.post("/v1/files", content=head + b"x" * 100_000, headers=headers)
    assert answer.status_code == 400
    assert "closing boundary" in answer.json()["detail"]
    assert blobs(house) == []


def test_a_file_over_the_limit_is_413(house: House) -> None:
    small = house.settings.model_copy(update={"limit_upload_bytes": 100_000})
    with running(small) as url, httpx2.Client(base_url=url) as client:
        announced = client.post("/v1/files", files={"file": ("a", b"x" * 200_000)})
        assert announced.status_code == 413

        def pieces():  # type: ignore[no-untyped-def]
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            for _ in range(20):
                yield b"x" * 10_000
            yield b"\r\n--b--\r\n"

        headers = {"content-type": "multipart/form-data; boundary=b"}
        assert client.post("/v1/files", content=pieces(), headers=headers).status_code == 413
    assert blobs(house) == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\a\\b.pt", "b.pt"), ("a\x00\nb", "ab"), ("", "file"), ("é.npz", "é.npz")],
)
def test_a_name_is_only_a_name(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_a_file_in_use_stays(house: House) -> None:
    model = house.register("models", architecture={"kind": "mlp", "inputs": 1, "classes": 2})
    answer = house.client.delete(f"/v1/files/{model['file']}")
    assert answer.status_code == 409
    assert model["id"] in answer.json()["detail"]
    assert house.client.delete(f"/v1/models/{model['id']}").status_code == 204
    assert house.client.delete(f"/v1/files/{model['file']}").status_code == 204
    assert house.client.get(f"/v1/files/{model['file']}").status_code == 404
