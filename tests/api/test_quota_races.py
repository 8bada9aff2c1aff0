"""Requests at the same time do not go over a limit together, on both databases; and what is held is given back."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from app.db.base import db_now
from app.db.session import Database
from app.db.tables import Upload
from app.settings import Settings
from app.uploads.repository import UploadRepository
from tests.api.conftest import House
from tests.api.test_limits import TUS, declare, limited, refused, send, submit, used
from tests.servers import wait_until


def at_once(count: int, act: Callable[[int], httpx2.Response]) -> list[int]:
    """Return the statuses of so many requests at the same time."""
    with ThreadPoolExecutor(count) as pool:
        return sorted(answer.status_code for answer in pool.map(act, range(count)))


@pytest.mark.owasp(6)
def test_requests_at_once_go_over_no_limit_together(settings: Settings) -> None:
    with limited(settings, stored_bytes=4000, unfinished_uploads=3, queued_jobs=3) as house:
        spec = house.ready()
        room = 4000 - used(house, "stored_bytes")
        size = room * 2 // 5
        assert at_once(8, lambda n: house.upload(bytes([n]) * size)) == [201] * 2 + [409] * 6
        assert used(house, "stored_bytes") == 4000 - room + 2 * size
        assert at_once(8, lambda _: declare(house, 9)) == [201] * 3 + [409] * 5
        assert at_once(8, lambda _: house.client.post("/v1/jobs", json=spec)) == [201] * 3 + [409] * 5
        assert used(house, "queued_jobs") == 3


@contextmanager
def half_an_upload(house: House, size: int) -> Iterator[None]:
    """Send the first half of a file of about `size` bytes, and hold the line until the end."""
    begin = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {size + 64 * 1024}\r\n\r\n"
    )
    at = urlsplit(str(house.client.base_url))
    with socket.create_connection((at.hostname or "", at.port or 0), timeout=20) as sock:
        sock.sendall(head.encode() + begin + b"z" * (size // 2))
        yield


def test_room_is_held_while_a_file_comes_in_and_given_back_when_it_does_not(settings: Settings) -> None:
    with limited(settings, stored_bytes=1_000_000) as house:
        with half_an_upload(house, 700_000):
            wait_until(lambda: used(house, "stored_bytes") >= 700_000)
            refused(house.upload(b"y" * 300_001), 409, "quota_exceeded", "of the 1000000")
        wait_until(lambda: used(house, "stored_bytes") == 0)
        assert house.upload(b"y" * 300_001).status_code == 201


def test_what_was_not_announced_is_held_as_it_comes(settings: Settings) -> None:
    def form(size: int) -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(size // 1000):
            yield b"w" * 1000
        yield b"\r\n--x--\r\n"

    def post(size: int) -> httpx2.Response:
        headers = {"Content-Type": "multipart/form-data; boundary=x"}
        return house.client.post("/v1/files", content=form(size), headers=headers)

    with limited(settings, stored_bytes=100_000) as house:
        refused(post(101_000), 409, "quota_exceeded", "stored_bytes")
        assert used(house, "stored_bytes") == 0
        assert post(100_000).status_code == 201
        assert used(house, "stored_bytes") == 100_000


def test_uploads_that_end_or_expire_give_back_what_they_held(settings: Settings) -> None:
    with limited(settings, stored_bytes=1000) as house:
        ended, expired, whole = (declare(house, size).json()["id"] for size in (500, 300, 200))
        assert used(house, "stored_bytes") == 1000
        house.client.delete(f"/v1/uploads/{ended}", headers=TUS)
        assert used(house, "stored_bytes") == 500
        house.work(lambda database, _: expire(database, expired))
        assert used(house, "stored_bytes") == 200
        assert send(house, whole, b"v" * 200).status_code == 204
        assert used(house, "stored_bytes") == 200
        assert declare(house, 800).status_code == 201


async def expire(database: Database, upload: str) -> None:
    async with database.transaction() as session:
        row = await session.get_one(Upload, upload)
        await UploadRepository(session).change(row, expires_at=db_now(-1))


def test_results_are_published_and_then_nothing_is_taken_until_there_is_room(
    settings: Settings, tmp_path: Path
) -> None:
    with limited(settings, stored_bytes=5000) as house:
        job = submit(house).json()["id"]
        assert house.finish({"student": b"s" * 6000}, tmp_path) == job
        assert used(house, "stored_bytes") > 6000
        spec = {name: house.client.get(f"/v1/jobs/{job}").json()["spec"][name] for name in ("teacher", "transfer_set")}
        student = {"architecture": {"kind": "mlp", "inputs": 4, "hidden": [2], "classes": 3}}
        again = house.client.post("/v1/jobs", json={**spec, "student": student})
        refused(again, 409, "quota_exceeded", "stored_bytes")
        refused(declare(house, 1), 409, "quota_exceeded", "stored_bytes")
        assert house.client.get(f"/v1/jobs/{job}/student").content == b"s" * 6000
        assert house.client.delete(f"/v1/jobs/{job}").status_code == 204
        assert house.client.post("/v1/jobs", json={**spec, "student": student}).status_code == 201
