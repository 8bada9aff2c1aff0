"""What a large upload and download cost the API process: its peak memory over that of an idle one, and the rate.

    python benchmarks/transfer.py --size 1024        # MiB

Starts the API alone on SQLite and a local store in a temporary folder, uploads a file as a multipart form, and
downloads it as an artifact. Needs about twice the size on disk.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from app.db.base import DEFAULT_TENANT
from app.db.session import Database
from app.db.tables import Artifact
from app.queue import Bell
from app.samples.service import JOB
from app.settings import Settings
from stillhouse.embedded.port import bind, url_of

MIB = 2**20
BOUNDARY = "stillhouse"
LIMIT_MIB = 64


@contextmanager
def api(settings: Settings) -> Iterator[tuple[str, int]]:
    """Run the API; yield its URL and process id."""
    environment = {**os.environ, "STILLHOUSE_DATA": str(settings.data), "STILLHOUSE_BROKER_URL": settings.broker_url}
    subprocess.run([sys.executable, "-m", "migrations"], env=environment, check=True)
    with bind(0) as listener:
        command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:create_app", "--log-level", "warning"]
        descriptor = listener.fileno()
        process = subprocess.Popen([*command, "--fd", str(descriptor)], env=environment, pass_fds=[descriptor])
        try:
            with httpx2.Client(base_url=url_of(listener), timeout=60) as client:
                client.get("/openapi.json").raise_for_status()  # puts the sample job there
            yield url_of(listener), process.pid
        finally:
            process.terminate()
            process.wait()


def peak(process: int) -> float:
    """Return the process's peak resident memory in MiB since the last `forget`."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def forget(process: int) -> float:
    """Reset the peak to what the process holds now, and return that."""
    Path(f"/proc/{process}/clear_refs").write_text("5")
    return peak(process)


def form(size: int) -> Iterator[bytes]:
    yield f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'.encode()
    block = os.urandom(MIB)
    for _ in range(size):
        yield block
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def upload(client: httpx2.Client, size: int) -> dict[str, object]:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return dict(client.post("/v1/files", content=form(size), headers=headers).raise_for_status().json())


def download(client: httpx2.Client, path: str) -> int:
    with client.stream("GET", path) as answer:
        return sum(len(chunk) for chunk in answer.raise_for_status().iter_bytes())


async def publish(settings: Settings, file: dict[str, object]) -> str:
    """Make the uploaded bytes an artifact, with the row that a finished job has; return its path."""
    database = Database(settings.database, Bell(settings.broker_url))
    same = {"tenant_id": DEFAULT_TENANT, "kind": "student", "name": "big", "media_type": "application/octet-stream"}
    async with database.transaction() as session:
        session.add(Artifact(id="art_big", job_id=JOB, size=file["size"], sha256=file["sha256"], **same))
    await database.close()
    return "/v1/artifacts/art_big"


def measure(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=Path(folder), broker_url="redis+socket:///nowhere.sock")
        with api(settings) as (url, process), httpx2.Client(base_url=url, timeout=600) as client:
            upload(client, 1)  # warm
            idle = forget(process)
            began = time.monotonic()
            file = upload(client, size)
            uploaded, upload_peak = time.monotonic() - began, peak(process)
            path = asyncio.run(publish(settings, file))
            idle_again = forget(process)
            began = time.monotonic()
            assert download(client, path) == size * MIB
            downloaded, download_peak = time.monotonic() - began, peak(process)
    return {
        "size_mib": size,
        "upload_extra_mib": round(upload_peak - idle, 1),
        "download_extra_mib": round(download_peak - idle_again, 1),
        "upload_mib_per_s": round(size / uploaded),
        "download_mib_per_s": round(size / downloaded),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1024, help="MiB (default: 1024)")
    found = measure(parser.parse_args().size)
    print(json.dumps(found, indent=1))
    if max(found["upload_extra_mib"], found["download_extra_mib"]) > LIMIT_MIB:
        sys.exit(f"more than {LIMIT_MIB} MiB of extra memory")


if __name__ == "__main__":
    main()
