"""Uploads that are cut, or meet a full disk."""

import asyncio
import socket
from pathlib import Path

import httpx2
import pytest

from tests.api.living import LivingApi, living
from tests.api.test_upload_faults import BYTES, CONTENT, SHA256, begin, declare, offset
from tests.disks import SmallDisk, small_disk
from tests.faults.house import FaultHouse
from tests.packaging.gateway import free_port
from tests.servers import wait_until

pytestmark = pytest.mark.anyio
HALF = len(CONTENT) // 2


def stored(api: LivingApi) -> list[Path]:
    return [path for path in (api.settings.data / "blobs").rglob("*") if path.is_file()]


def is_full(answer: httpx2.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full"), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def upload_whole(api: LivingApi, content: bytes) -> httpx2.Response:
    return httpx2.post(f"{api.url}/v1/files", files={"file": ("teacher.safetensors", content)}, timeout=30)


def patch(upload: str, start: int, content: bytes) -> httpx2.Response:
    return httpx2.patch(upload, content=content, headers={**BYTES, "Upload-Offset": str(start)}, timeout=30)


@pytest.mark.fault(16)
async def test_a_disk_that_fills_up_ends_the_upload_and_gives_the_room_back(house: FaultHouse, tmp_path: Path) -> None:
    with (
        small_disk(house.settings.data, 2 * len(CONTENT)) as disk,
        living(house.settings, free_port(), tmp_path / "api.log", inside=disk.inside) as api,
    ):
        await asyncio.to_thread(_fill_up, api, disk)


def _fill_up(api: LivingApi, disk: SmallDisk) -> None:
    room = disk.free()
    is_full(upload_whole(api, 3 * CONTENT))
    assert disk.free() == room
    upload = declare(api)
    disk.fill(leave=HALF)
    is_full(patch(upload, 0, CONTENT))
    assert httpx2.get(upload).status_code == 410
    disk.make_room()
    assert disk.free() == room
    assert upload_whole(api, CONTENT).json()["sha256"] == SHA256


@pytest.mark.fault(17)
async def test_an_upload_cut_at_half_is_invisible_and_goes_on_from_there(house: FaultHouse, tmp_path: Path) -> None:
    with living(house.settings, free_port(), tmp_path / "api.log") as api:
        await asyncio.to_thread(_cut_at_half, api)


def _cut_at_half(api: LivingApi) -> None:
    upload = declare(api)
    with begin(api, upload, CONTENT[:HALF]):
        wait_until(lambda: offset(upload) == HALF, what="half of the upload")
    assert stored(api) == []
    assert httpx2.get(upload).json()["file"] is None
    wait_until(lambda: patch(upload, HALF, CONTENT[HALF:]).status_code == 204, what="the other half")
    file = httpx2.get(upload).json()["file"]
    assert httpx2.get(f"{api.url}/v1/files/{file}").json()["sha256"] == SHA256
    assert [path.read_bytes() for path in stored(api)] == [CONTENT]


@pytest.mark.fault(17)
async def test_an_upload_in_one_request_cut_at_half_leaves_nothing(house: FaultHouse, tmp_path: Path) -> None:
    with living(house.settings, free_port(), tmp_path / "api.log") as api:
        await asyncio.to_thread(_cut_form, api)


def _cut_form(api: LivingApi) -> None:
    with socket.create_connection(("127.0.0.1", api.port)) as line:
        line.sendall(
            b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b'Content-Length: 9000000\r\n\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            + bytes(7_000_000)
        )
        wait_until(lambda: len(stored(api)) == 1, what="the beginning of the upload")
    wait_until(lambda: stored(api) == [], what="the end of what was cut")
    assert upload_whole(api, b"after").status_code == 201  # the house goes on
