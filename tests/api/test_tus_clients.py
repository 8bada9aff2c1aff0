"""The clients that others wrote: tuspy and tus-js-client, as they come."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx2
import pytest
from filelock import FileLock
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed
from tusclient.storage.filestorage import FileStorage

from tests.api.conftest import House
from tests.api.living import line_to

TUS = {"Tus-Resumable": "1.0.0"}
CONTENT = bytes(range(256)) * 16 * 1024  # 4 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
JS = Path(__file__).with_name("tus")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    return str(tmp_path / "weights.bin")


def endpoint(house: House) -> str:
    return f"{house.client.base_url}/v1/uploads".replace("//v1", "/v1")


def file_of(house: House, upload: str) -> dict[str, Any]:
    """Return the file that an upload became."""
    shown = house.client.head(upload, headers=TUS)
    return dict(house.client.get(f"/v1/files/{shown.headers['stillhouse-file']}").json())


class Stream(io.BytesIO):
    """tuspy closes what it has taken a fingerprint of, and leaves files open that it opens itself."""

    def close(self) -> None:
        pass


def test_tuspy_in_chunks_with_checksums(house: House) -> None:
    metadata = {"filename": "weights.bin", "sha256": SHA256}
    client = TusClient(endpoint(house))
    uploader = client.uploader(file_stream=Stream(CONTENT), chunk_size=10**6, metadata=metadata, upload_checksum=True)
    uploader.upload()
    found = file_of(house, uploader.url)
    assert (found["name"], found["size"], found["sha256"]) == ("weights.bin", len(CONTENT), SHA256)


def test_tuspy_goes_on_later(house: House, tmp_path: Path) -> None:
    storage = FileStorage(str(tmp_path / "urls.json"))
    client = TusClient(endpoint(house))
    kept: Any = {"file_stream": Stream(CONTENT), "chunk_size": 10**6, "store_url": True, "url_storage": storage}
    first = client.uploader(**kept)
    first.upload(stop_at=2 * 10**6)
    second = client.uploader(**kept)
    assert (second.url, second.offset) == (first.url, 2 * 10**6)
    second.upload()
    storage.close()
    assert file_of(house, second.url)["sha256"] == SHA256


def test_tuspy_over_a_line_that_breaks(house: House) -> None:
    port = house.client.base_url.port
    assert port
    with line_to(port, cut_after=2 * 2**20) as line:
        client = TusClient(f"{line.url}/v1/uploads")
        uploader = client.uploader(file_stream=Stream(CONTENT), retries=5, retry_delay=1)
        uploader.upload()
    assert line.cuts == 1
    assert file_of(house, uploader.url.removeprefix(line.url))["sha256"] == SHA256


def test_tuspy_hears_what_is_wrong(house: House) -> None:
    client = TusClient(endpoint(house))
    with pytest.raises(TusUploadFailed) as failed:
        client.uploader(file_stream=Stream(CONTENT), metadata={"sha256": "0" * 64}).upload()
    assert failed.value.status_code == 422
    with pytest.raises(TusCommunicationError) as refused:
        client.uploader(file_stream=Stream(CONTENT), metadata={"sha256": "?"}).upload()
    assert refused.value.status_code == 422


@pytest.fixture(scope="session")
def tus_js() -> Path:
    """Return a folder with tus-js-client, fetched by the hashes of package-lock.json; skip where it cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        pytest.skip("no node and npm here")
    lock = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()
    folder = Path(tempfile.gettempdir()) / "stillhouse-test-material" / f"tus-js-{lock[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "complete").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(JS / name, folder)
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
            if done.returncode:
                pytest.skip(f"tus-js-client cannot be had: {done.stderr.strip()[-300:]}")
            (folder / "complete").touch()
    return folder


def run_js(folder: Path, url: str, file: str, **options: Any) -> dict[str, Any]:
    command = ["node", str(JS / "upload.js"), url, file, json.dumps(options)]
    environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("options", [{}, {"chunkSize": 10**6}, {"overridePatchMethod": True}], ids=str)
def test_tus_js_client(house: House, tus_js: Path, file: str, options: dict[str, Any]) -> None:
    metadata = {"filename": "weights.bin", "sha256": SHA256}
    told = run_js(tus_js, endpoint(house), file, metadata=metadata, **options)
    found = file_of(house, told["url"])
    assert (found["name"], found["sha256"]) == ("weights.bin", SHA256)
    assert told["requests"][-1][1:] == [204, found["id"]]


def test_tus_js_client_over_a_line_that_breaks(house: House, tus_js: Path, file: str) -> None:
    port = house.client.base_url.port
    assert port
    with line_to(port, cut_after=2 * 2**20) as line:
        told = run_js(tus_js, f"{line.url}/v1/uploads", file)
    assert line.cuts == 1
    assert ["HEAD", 200] in [request[:2] for request in told["requests"]]
    assert file_of(house, told["url"].removeprefix(line.url))["sha256"] == SHA256


def test_tus_js_client_with_bytes_that_are_there_already(house: House, tus_js: Path, file: str) -> None:
    house.upload(CONTENT)
    told = run_js(tus_js, endpoint(house), file, metadata={"sha256": SHA256})
    assert file_of(house, told["url"])["sha256"] == SHA256
    assert len([path for path in (house.settings.data / "blobs").rglob("*") if path.is_file()]) == 1
    assert httpx2.head(told["url"], headers=TUS).headers["upload-offset"] == str(len(CONTENT))
