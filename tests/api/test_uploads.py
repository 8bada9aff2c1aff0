"""Resumable uploads as tus 1.0.0 wants them, request by request."""

import base64
import hashlib
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from app.db.session import Database
from app.store import Store
from app.uploads.reception import Reception
from tests.api.conftest import House, running
from tests.servers import wait_until

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, where a test does not ask for both: most of this never meets the database's dialect."""
    url: str = request.getfixturevalue(f"{getattr(request, 'param', 'sqlite')}_url")
    return url


def described(**values: str) -> dict[str, str]:
    pairs = [f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items()]
    return {"Upload-Metadata": ",".join(pairs)} if pairs else {}


def declare(house: House, size: int = len(CONTENT), **told: str) -> str:
    """Return the path of a new upload."""
    answer = house.client.post("/v1/uploads", headers={**TUS, "Upload-Length": str(size), **described(**told)})
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def send(house: House, upload: str, offset: int, content: Any, **headers: str) -> httpx2.Response:
    return house.client.patch(upload, content=content, headers={**BYTES, "Upload-Offset": str(offset), **headers})


def offset(house: House, upload: str) -> int:
    answer = house.client.head(upload, headers=TUS)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


def is_problem(answer: httpx2.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert answer.json()["code"] == code
    assert answer.headers["tus-resumable"] == "1.0.0"


def blobs(house: House) -> list[Path]:
    return [path for path in (house.settings.data / "blobs").rglob("*") if path.is_file()]


def partials(house: House) -> list[Path]:
    folder = house.settings.data / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


@ON_BOTH
def test_a_file_in_two_requests(house: House) -> None:
    upload = declare(house, filename="teacher.safetensors", sha256=SHA256)
    shown = house.client.get(upload).json()
    assert (shown["name"], shown["size"], shown["offset"], shown["file"]) == ("teacher.safetensors", 256_000, 0, None)
    half = send(house, upload, 0, CONTENT[:100_000])
    assert (half.status_code, half.headers["upload-offset"]) == (204, "100000")
    assert "upload-expires" in half.headers
    assert blobs(house) == []
    assert offset(house, upload) == 100_000
    whole = send(house, upload, 100_000, CONTENT[100_000:])
    assert (whole.status_code, whole.headers["upload-offset"]) == (204, "256000")
    file = house.client.get(f"/v1/files/{whole.headers['stillhouse-file']}").json()
    assert (file["name"], file["size"], file["sha256"]) == ("teacher.safetensors", 256_000, SHA256)
    assert [blob.read_bytes() for blob in blobs(house)] == [CONTENT]
    assert partials(house) == []
    head = house.client.head(upload, headers=TUS)
    assert (head.headers["upload-offset"], head.headers["stillhouse-file"]) == ("256000", file["id"])
    assert (
        head.headers["upload-metadata"] == described(filename="teacher.safetensors", sha256=SHA256)["Upload-Metadata"]
    )
    assert "upload-expires" not in head.headers


def test_the_file_can_be_registered(house: House) -> None:
    file = send(house, declare(house), 0, CONTENT).headers["stillhouse-file"]
    answer = house.client.post("/v1/datasets", json={"file": file})
    assert answer.status_code == 201


def test_options_tell_what_is_there(house: House) -> None:
    answer = house.client.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,checksum,termination,expiration"
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,sha512"
    assert int(answer.headers["tus-max-size"]) == house.settings.limit_upload_bytes


@pytest.mark.parametrize("version", [None, "0.2.2"])
def test_another_version_is_412(house: House, version: str | None) -> None:
    upload = declare(house)
    headers = {"Tus-Resumable": version, "Upload-Length": "1"} if version else {"Upload-Length": "1"}
    answer = house.client.post("/v1/uploads", headers=headers)
    is_problem(answer, 412, "precondition_failed")
    assert answer.headers["tus-version"] == "1.0.0"
    assert house.client.head(upload, headers={"Tus-Resumable": version} if version else {}).status_code == 412
    assert house.client.delete(upload).status_code == 412


def test_a_proxy_that_knows_no_patch(house: House) -> None:
    headers = {**BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert house.client.post(declare(house), content=CONTENT, headers=headers).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"Upload-Length": "-1"}, 422, "invalid_request"),
        ({"Upload-Length": "many"}, 422, "invalid_request"),
        ({"Upload-Length": "0"}, 422, "invalid_request"),
        ({"Upload-Length": str(2**50)}, 413, "payload_too_large"),
        ({"Upload-Length": "1", "Upload-Metadata": "filename ?"}, 400, "bad_request"),
        ({"Upload-Length": "1", "Upload-Metadata": "a YQ==,a YQ=="}, 400, "bad_request"),
        ({"Upload-Length": "1", "Upload-Metadata": f"a {'YQ==' * 2000}"}, 400, "bad_request"),
        ({"Upload-Length": "1", **described(sha256="abc")}, 422, "invalid_request"),
    ],
)
def test_a_bad_declaration(house: House, headers: dict[str, str], status: int, code: str) -> None:
    is_problem(house.client.post("/v1/uploads", headers={**TUS, **headers}), status, code)
    assert house.client.get("/v1/uploads").json()["data"] == []


def test_a_wrong_offset_is_409(house: House) -> None:
    upload = declare(house)
    send(house, upload, 0, CONTENT[:10])
    for wrong in (0, 9, 11):
        is_problem(send(house, upload, wrong, CONTENT[10:20]), 409, "conflict")
    assert offset(house, upload) == 10


def test_another_content_type_is_415(house: House) -> None:
    upload = declare(house)
    is_problem(send(house, upload, 0, b"x", **{"Content-Type": "text/plain"}), 415, "unsupported_media_type")


def test_more_than_was_announced_is_413(house: House) -> None:
    upload = declare(house, size=100)
    is_problem(send(house, upload, 0, b"x" * 101), 413, "payload_too_large")
    is_problem(send(house, upload, 0, iter([b"x" * 101])), 413, "payload_too_large")
    assert offset(house, upload) == 0
    assert send(house, upload, 0, iter([b"x" * 50, b"y" * 50])).headers["upload-offset"] == "100"
    assert send(house, upload, 100, b"").status_code == 204
    is_problem(send(house, upload, 100, b"z"), 413, "payload_too_large")
    is_problem(send(house, upload, 99, b"z"), 409, "conflict")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_a_checksum_that_is_right_or_wrong(house: House, algorithm: str) -> None:
    upload = declare(house)
    digest = base64.b64encode(hashlib.new(algorithm, CONTENT[:1000]).digest()).decode()
    right = {"Upload-Checksum": f"{algorithm} {digest}"}
    is_problem(send(house, upload, 0, CONTENT[1:1001], **right), 460, "checksum_mismatch")
    assert offset(house, upload) == 0
    assert send(house, upload, 0, CONTENT[:1000], **right).status_code == 204
    is_problem(send(house, upload, 1000, CONTENT[1000:], **right), 460, "checksum_mismatch")  # also of the last part
    assert offset(house, upload) == 1000
    assert blobs(house) == []
    assert send(house, upload, 1000, CONTENT[1000:]).status_code == 204


@pytest.mark.parametrize("header", ["md6 YQ==", "sha1", "sha1 ?"])
def test_a_checksum_that_cannot_be_read_is_400(house: House, header: str) -> None:
    upload = declare(house)
    is_problem(send(house, upload, 0, b"x", **{"Upload-Checksum": header}), 400, "bad_request")
    assert offset(house, upload) == 0


def test_a_declared_hash_that_does_not_match_ends_the_upload(house: House) -> None:
    upload = declare(house, sha256="0" * 64)
    is_problem(send(house, upload, 0, CONTENT), 422, "digest_mismatch")
    gone = house.client.get(upload)
    is_problem(gone, 410, "gone")
    assert SHA256 in gone.json()["detail"]
    assert (blobs(house), partials(house)) == ([], [])


@ON_BOTH
def test_bytes_that_one_owns_need_not_be_sent(house: House) -> None:
    first = house.upload(CONTENT).json()
    answer = house.client.post(
        "/v1/uploads", headers={**TUS, "Upload-Length": "256000", **described(filename="again", sha256=SHA256.upper())}
    )
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "256000")
    upload = answer.json()
    assert answer.headers["stillhouse-file"] == upload["file"] != first["id"]
    assert house.client.get(f"/v1/files/{upload['file']}").json()["name"] == "again"
    assert len(blobs(house)) == 1
    other = house.client.post("/v1/uploads", headers={**TUS, "Upload-Length": "255999", **described(sha256=SHA256)})
    assert other.headers["upload-offset"] == "0"


@ON_BOTH
def test_unfinished_uploads_are_listed(house: House) -> None:
    uploads = [declare(house, filename=name, sha256=SHA256) for name in ("one", "two")]
    declare(house, filename="another")
    send(house, uploads[0], 0, CONTENT[:7])
    page = house.client.get("/v1/uploads", params={"sha256": SHA256}).json()
    assert [(upload["name"], upload["offset"]) for upload in page["data"]] == [("two", 0), ("one", 7)]
    assert len(house.client.get("/v1/uploads").json()["data"]) == 3
    send(house, uploads[0], 7, CONTENT[7:])
    house.client.delete(uploads[1], headers=TUS)
    assert [upload["name"] for upload in house.client.get("/v1/uploads").json()["data"]] == ["another"]


def test_an_upload_that_was_ended(house: House) -> None:
    upload = declare(house)
    send(house, upload, 0, CONTENT[:10])
    assert house.client.delete(upload, headers=TUS).status_code == 204
    assert partials(house) == []
    assert house.client.head(upload, headers=TUS).status_code == 410
    is_problem(send(house, upload, 10, CONTENT[10:]), 410, "gone")
    is_problem(house.client.delete(upload, headers=TUS), 410, "gone")


def test_an_upload_that_never_was_is_404(house: House) -> None:
    nowhere = f"/v1/uploads/upl_{'0' * 32}"
    head = house.client.head(nowhere, headers=TUS)
    assert head.status_code == 404
    assert "upload-offset" not in head.headers
    is_problem(send(house, nowhere, 0, b"x"), 404, "not_found")
    assert partials(house) == []


def test_a_deleted_file_takes_its_upload_along(house: House) -> None:
    upload = declare(house)
    file = send(house, upload, 0, CONTENT).headers["stillhouse-file"]
    assert house.client.delete(f"/v1/files/{file}").status_code == 204
    assert house.client.get(upload).status_code == 404


def begin(house: House, upload: str, content: bytes, **headers: str) -> socket.socket:
    """Send the head of a PATCH of everything, and only this much of its body."""
    parts = urlsplit(str(house.client.base_url))
    line = socket.create_connection((parts.hostname, parts.port), timeout=20)  # type: ignore[arg-type]
    head = {
        **BYTES,
        "Host": "localhost",
        "Connection": "close",
        "Upload-Offset": "0",
        "Content-Length": str(len(CONTENT)),
        **headers,
    }
    text = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    line.sendall(f"PATCH {upload} HTTP/1.1\r\n{text}\r\n".encode() + content)
    return line


def test_a_part_with_a_checksum_counts_only_when_it_is_whole(house: House) -> None:
    upload = declare(house)
    digest = base64.b64encode(hashlib.sha1(CONTENT).digest()).decode()
    with begin(house, upload, CONTENT[:128_000], **{"Upload-Checksum": f"sha1 {digest}"}):
        wait_until(lambda: any(path.stat().st_size == 128_000 for path in partials(house)))
        assert offset(house, upload) == 0
    wait_until(lambda: send(house, upload, 0, CONTENT).status_code == 204)


def test_one_writer_at_a_time(house: House) -> None:
    upload = declare(house)
    with begin(house, upload, CONTENT[:1000]) as first:
        wait_until(lambda: offset(house, upload) == 1000)
        second = send(house, upload, 1000, CONTENT[1000:])
        is_problem(second, 423, "locked")
        assert int(second.headers["retry-after"]) > 0
        is_problem(house.client.delete(upload, headers=TUS), 423, "locked")
        first.sendall(CONTENT[1000:])
        assert first.recv(65_536).startswith(b"HTTP/1.1 204")
    assert offset(house, upload) == len(CONTENT)


def test_who_falls_silent_makes_room(house: House) -> None:
    hasty = house.settings.model_copy(update={"upload_silence_seconds": 0.3})
    with running(hasty) as url, httpx2.Client(base_url=url) as client:
        here = House(client, hasty)
        upload = declare(here)
        with begin(here, upload, CONTENT[:1000]) as silent:
            answer = b"".join(iter(lambda: silent.recv(65_536), b""))
        assert b"nothing came for 0.3 s" in answer
        assert offset(here, upload) == 1000


def test_no_room_for_what_is_announced_is_507(house: House) -> None:
    full = house.settings.model_copy(update={"free_space_floor_bytes": 2**60})
    with running(full) as url, httpx2.Client(base_url=url) as client:
        answer = client.post("/v1/uploads", headers={**TUS, "Upload-Length": "1"})
    is_problem(answer, 507, "storage_full")
    assert house.client.get("/v1/uploads").json()["data"] == []


def test_a_disk_that_fills_up_ends_the_upload(house: House) -> None:
    upload = declare(house)
    send(house, upload, 0, CONTENT[:1000])
    full = house.settings.model_copy(update={"free_space_floor_bytes": 2**60})
    with running(full) as url, httpx2.Client(base_url=url) as client:
        is_problem(send(House(client, full), upload, 1000, CONTENT[1000:]), 507, "storage_full")
    assert partials(house) == []
    assert "free" in house.client.get(upload).json()["detail"]


def test_a_bit_flipped_in_the_partial_is_noticed(house: House) -> None:
    upload = declare(house, sha256=SHA256)
    send(house, upload, 0, CONTENT[:1000])
    with partials(house)[0].open("r+b") as file:
        file.seek(500)
        file.write(bytes([CONTENT[500] ^ 1]))
    is_problem(send(house, upload, 1000, CONTENT[1000:]), 422, "digest_mismatch")
    assert (blobs(house), partials(house)) == ([], [])


@ON_BOTH
def test_abandoned_uploads_expire(house: House) -> None:
    async def sweep(database: Database, store: Store) -> int:
        return await Reception(database, store, hasty).sweep()

    hasty = house.settings.model_copy(update={"upload_seconds": 0.5})
    kept = declare(house)
    send(house, kept, 0, b"kept")
    with running(hasty) as url, httpx2.Client(base_url=url) as client:
        upload = declare(House(client, hasty))
        send(House(client, hasty), upload, 0, CONTENT[:10])
        wait_until(lambda: client.head(upload, headers=TUS).status_code == 410)
        is_problem(send(House(client, hasty), upload, 10, CONTENT[10:]), 410, "gone")
        assert "expired" in client.get(upload).json()["detail"]
        assert house.work(sweep) == 1
        assert len(partials(house)) == 1
        wait_until(lambda: house.work(sweep) == 0 and client.get(upload).status_code == 404)
    assert offset(house, kept) == 4


def test_an_api_that_died_after_the_last_byte_makes_the_file_at_the_next_look(house: House) -> None:
    upload = declare(house, sha256=SHA256)
    send(house, upload, 0, CONTENT[:1000])
    with partials(house)[0].open("ab") as file:
        file.write(CONTENT[1000:])
    head = house.client.head(upload, headers=TUS)
    assert head.headers["upload-offset"] == str(len(CONTENT))
    assert house.client.get(f"/v1/files/{head.headers['stillhouse-file']}").json()["sha256"] == SHA256
    assert partials(house) == []


def test_an_upload_is_another_tenants_secret(house: House) -> None:
    upload = declare(house)

    async def give_away(database: Database, _: Store) -> None:
        from sqlalchemy import update

        from app.db.tables import Upload

        async with database.transaction() as session:
            await session.execute(update(Upload).values(tenant_id="tnt_other"))

    house.work(give_away)
    is_problem(house.client.get(upload), 404, "not_found")
    is_problem(send(house, upload, 0, b"x"), 404, "not_found")
    is_problem(house.client.delete(upload, headers=TUS), 404, "not_found")
    assert house.client.get("/v1/uploads").json()["data"] == []
