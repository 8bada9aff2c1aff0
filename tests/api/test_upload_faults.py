"""The API dies in the middle of an upload, for real; and what an upload costs it."""

import base64
import hashlib
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from app.settings import Settings
from stillhouse import Stillhouse, calls, resuming
from tests.api.living import LivingApi, line_to, living
from tests.packaging.gateway import free_port
from tests.servers import Valkey, wait_until

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
CONTENT = bytes(range(256)) * 16 * 1024  # 4 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, valkey: Valkey) -> Iterator[LivingApi]:
    """One for all tests of this file: starting takes longest."""
    folder = tmp_path_factory.mktemp("living")
    shutil.copy(migrated_sqlite, folder / "test.db")
    settings = Settings(
        data=folder / "data",
        database_url=f"sqlite+aiosqlite:///{folder}/test.db",
        broker_url=valkey.url,
        free_space_floor_bytes=0,
    )
    with living(settings, free_port(), folder / "api.log") as api:
        yield api


def declare(api: LivingApi, size: int = len(CONTENT)) -> str:
    answer = httpx2.post(f"{api.url}/v1/uploads", headers={**TUS, "Upload-Length": str(size)})
    return api.url + answer.headers["location"]


def begin(api: LivingApi, upload: str, content: bytes, **headers: str) -> socket.socket:
    line = socket.create_connection(("127.0.0.1", api.port), timeout=20)
    head = {**BYTES, "Host": "localhost", "Upload-Offset": "0", "Content-Length": str(len(CONTENT)), **headers}
    text = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    line.sendall(f"PATCH {upload.removeprefix(api.url)} HTTP/1.1\r\n{text}\r\n".encode() + content)
    return line


def offset(upload: str) -> int:
    return int(httpx2.head(upload, headers=TUS).headers["upload-offset"])


def on_disk(api: LivingApi) -> int:
    return sum(path.stat().st_size for path in (api.settings.data / "uploads").glob("*"))


def test_a_killed_api_goes_on_from_what_it_had(api: LivingApi) -> None:
    upload = declare(api)
    with begin(api, upload, CONTENT[: 2**21]):
        wait_until(lambda: on_disk(api) >= 2**20, what="a mebibyte on disk")
        api.kill()
    api.start()
    here = offset(upload)
    assert 2**20 <= here <= 2**21
    answer = httpx2.patch(upload, content=CONTENT[here:], headers={**BYTES, "Upload-Offset": str(here)})
    file = httpx2.get(f"{api.url}/v1/files/{answer.headers['stillhouse-file']}").json()
    assert file["sha256"] == SHA256


def test_what_was_never_checked_does_not_count_after_a_kill(api: LivingApi) -> None:
    upload = declare(api)
    checksum = {"Upload-Checksum": f"sha256 {base64.b64encode(bytes.fromhex(SHA256)).decode()}"}
    with begin(api, upload, CONTENT[: 2**21], **checksum):
        wait_until(lambda: on_disk(api) >= 2**20, what="a mebibyte on disk")
        api.kill()
    api.start()
    assert offset(upload) == 0
    answer = httpx2.patch(upload, content=CONTENT, headers={**BYTES, "Upload-Offset": "0", **checksum})
    assert answer.headers["upload-offset"] == str(len(CONTENT))


def test_an_upload_costs_the_api_little_memory(api: LivingApi) -> None:
    def peak() -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{api.pid}/status").read_text())
        assert found
        return int(found.group(1)) * 1024

    assert httpx2.patch(declare(api), content=CONTENT, headers={**BYTES, "Upload-Offset": "0"}).is_success
    before, times = peak(), 24
    upload = declare(api, size=times * len(CONTENT))
    answer = httpx2.patch(upload, content=iter([CONTENT] * times), headers={**BYTES, "Upload-Offset": "0"}, timeout=60)
    assert answer.headers["upload-offset"] == str(times * len(CONTENT))
    assert peak() - before < 16 * 2**20


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "teacher.safetensors"
    path.write_bytes(CONTENT * 4 + str(tmp_path).encode())  # of every test its own: equal bytes are not sent again
    assert path.stat().st_size > resuming.WORTHWHILE
    return path


def test_the_client_survives_a_restart_of_the_service(api: LivingApi, large: Path) -> None:
    dead = threading.Event()

    def die() -> None:
        wait_until(lambda: on_disk(api) > 2**20)
        api.kill()
        dead.set()

    with (
        line_to(api.port, cut_after=6 * 2**20, then=die) as line,
        Stillhouse(line.url, retries=0) as client,
        ThreadPoolExecutor() as beside,
    ):
        upload = beside.submit(client.files.upload, large)
        assert dead.wait(30)
        api.start()
        file = upload.result(60)
    assert file.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    assert on_disk(api) == 0


def test_a_later_upload_goes_on_where_an_interrupted_one_stopped(api: LivingApi, large: Path) -> None:
    with Stillhouse(api.url, retries=0) as client:
        size, sha256 = large.stat().st_size, hashlib.sha256(large.read_bytes()).hexdigest()
        begun = client._transport.send(calls.begin_upload(large.name, size, sha256))
        with large.open("rb") as file:
            first = file.read(size - 1000)
        upload = f"{api.url}/v1/uploads/{begun.id}"
        httpx2.patch(upload, content=first, headers={**BYTES, "Upload-Offset": "0"})
        with line_to(api.port, cut_after=2**20) as line, Stillhouse(line.url, retries=0) as later:
            file = later.files.upload(large)
        assert line.cuts == 0  # a mebibyte never went over it
        assert file.sha256 == sha256
        assert httpx2.get(upload).json()["file"] == file.id


def test_what_the_service_has_already_is_not_sent_again(api: LivingApi, large: Path) -> None:
    with Stillhouse(api.url) as client:
        first = client.files.upload(large)
    with line_to(api.port, cut_after=2**20) as line, Stillhouse(line.url) as client:
        second = client.files.upload(large, name="again")
    assert line.cuts == 0
    assert (second.sha256, second.name) == (first.sha256, "again")
    assert first.id != second.id


def test_a_damaged_beginning_is_sent_anew(api: LivingApi, large: Path) -> None:
    def damage() -> None:
        wait_until(lambda: on_disk(api) > 2**20)
        [partial] = (api.settings.data / "uploads").glob("*")
        with partial.open("r+b") as file:
            file.write(b"?")

    with line_to(api.port, cut_after=6 * 2**20, then=damage) as line, Stillhouse(line.url) as client:
        file = client.files.upload(large)
    assert file.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
