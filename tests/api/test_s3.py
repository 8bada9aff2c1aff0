"""The same service on a real S3 API: bytes go there, and downloads come from there."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr

from app.db.session import Database
from app.files import orphans
from app.settings import Settings
from app.store import Area, Store
from tests.api.conftest import House, running

pytestmark = pytest.mark.xdist_group("s3")
STUDENT = bytes(range(256)) * 50_000  # more than one part


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str, broker_url: str, s3_environment: dict[str, str]) -> Settings:
    given: dict[str, Any] = {name.removeprefix("STILLHOUSE_").lower(): value for name, value in s3_environment.items()}
    given["store_url"] += f"/{tmp_path.name}"  # a prefix of this test's own
    given["s3_secret_access_key"] = SecretStr(given["s3_secret_access_key"])
    return Settings(data=tmp_path / "data", database_url=sqlite_url, broker_url=broker_url, **given)


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    with running(settings) as url, httpx2.Client(base_url=url, timeout=60) as client:
        yield House(client, settings)


def test_a_download_is_a_redirect_to_the_bytes(house: House, tmp_path: Path) -> None:
    house.submit()
    done = house.finish({"student": STUDENT, "report": b"{}"}, tmp_path)
    answer = house.client.get(f"/v1/jobs/{done}/student")
    assert answer.status_code == 307
    assert answer.headers["etag"] == f'"{hashlib.sha256(STUDENT).hexdigest()}"'
    assert httpx2.get(answer.headers["location"]).content == STUDENT
    part = httpx2.get(answer.headers["location"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, STUDENT[10:20])
    assert house.client.get(f"/v1/jobs/{done}/report").json() == {}


def test_without_signed_urls_the_service_passes_the_bytes_on(house: House, tmp_path: Path) -> None:
    house.submit()
    done = house.finish({"student": STUDENT}, tmp_path)
    plain = house.settings.model_copy(update={"s3_signed_downloads": False})
    with running(plain) as url, httpx2.Client(base_url=url) as client:
        assert client.get(f"/v1/jobs/{done}/student").content == STUDENT
        part = client.get(f"/v1/jobs/{done}/student", headers={"Range": "bytes=-7"})
        assert (part.status_code, part.content) == (206, STUDENT[-7:])


def test_an_upload_cut_or_wrong_leaves_nothing(house: House) -> None:
    assert house.upload(STUDENT, sha256="0" * 64).status_code == 422

    async def left(_: Database, store: Store) -> list[str]:
        return [stored.path for area in Area async for batch in store.listed(area) for stored in batch]

    assert house.work(left) == []


def test_a_resumed_upload_waits_on_disk_until_the_store_takes_it(house: House) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    declared = house.client.post("/v1/uploads", headers={**tus, "Upload-Length": str(len(STUDENT))})
    upload = declared.headers["location"]
    bytes_at = {**tus, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    away = house.settings.model_copy(update={"s3_secret_access_key": SecretStr("wrong")})
    with running(away) as url, httpx2.Client(base_url=url, timeout=60) as client:
        assert client.patch(upload, content=STUDENT, headers=bytes_at).status_code == 503
    head = house.client.head(upload, headers=tus)
    assert head.headers["upload-offset"] == str(len(STUDENT))
    file = house.client.get(f"/v1/files/{head.headers['stillhouse-file']}").json()
    assert file["sha256"] == hashlib.sha256(STUDENT).hexdigest()
    assert list((house.settings.data / "uploads").iterdir()) == []


def test_orphans_are_swept_and_what_is_needed_stays(house: House) -> None:
    house.upload(b"needed")

    async def sweep(database: Database, store: Store) -> tuple[int, int]:
        await store.put(_once(b"orphan"), limit=10)
        return await orphans.sweep(database, store, 3600), await orphans.sweep(database, store, -3600)

    assert house.work(sweep) == (0, 1)

    async def look(database: Database, store: Store) -> tuple[bytes, list[int], list[str]]:
        orphan = hashlib.sha256(b"orphan").hexdigest()
        again = b"".join([chunk async for chunk in store.stream(orphan)])  # it is set aside, and taken back
        swept = [await orphans.sweep(database, store, -3600) for _ in range(3)]
        return again, swept, [stored.name async for batch in store.listed(Area.BLOBS) for stored in batch]

    assert house.work(look) == (b"orphan", [1, 1, 0], [hashlib.sha256(b"needed").hexdigest()])
    assert house.client.get("/readyz").json()["parts"]["store"]["ok"]


async def _once(content: bytes) -> Any:
    yield content


def test_a_wrong_secret_is_seen_in_readyz(house: House) -> None:
    wrong = house.settings.model_copy(update={"s3_secret_access_key": SecretStr("wrong")})
    with running(wrong) as url, httpx2.Client(base_url=url, timeout=60) as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert not answer.json()["parts"]["store"]["ok"]
        assert client.post("/v1/files", files={"file": ("a", b"abc")}).status_code == 503
