"""`stillhouse serve`: starts and stops whole, leaves nothing behind, and says what is wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from stillhouse.embedded import FolderInUse, PortTaken
from stillhouse.embedded.children import Child, ChildDied, stop_together
from stillhouse.embedded.folder import DataFolder
from stillhouse.embedded.port import bind, url_of

SERVE = [sys.executable, "-m", "stillhouse.cli", "serve"]


def child(tmp_path, *command, **options):
    return Child("sleeper", command, folder=tmp_path, log=tmp_path / "sleeper.log", environment=os.environ, **options)


def descendants(pid: int) -> set[int]:
    """Return the processes below one."""
    found = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for below in map(int, task.read_text().split()):
            found |= {below} | descendants(below)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def sockets_of(data: Path) -> Path:
    return Path(json.loads((data / "serve.lock").read_text())["sockets"])


def gone(pids: set[int], seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(alive, pids))


@contextmanager
def serving(data: Path, *options: str):
    """Yield a `stillhouse serve` on a free port, its URL, and the lines of its banner."""
    command = [*SERVE, "--data", str(data), "--port", "0", *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STILLHOUSE_")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=data.parent
    ) as process:
        try:
            banner = [process.stdout.readline() for _ in range(4)]
            assert banner[0].startswith("Stillhouse runs at http://127.0.0.1:"), process.stderr.read()
            yield process, banner[0].split()[3], banner
        finally:
            process.kill()


def test_a_whole_life(tmp_path):
    data = tmp_path / "data"
    (tmp_path / "app").mkdir()  # a folder of the user's own, where they stand, is not ours
    with serving(data) as (process, url, banner):
        assert httpx2.get(f"{url}/readyz").json()["ready"] is True
        assert str(data) in banner[2]
        sockets = sockets_of(data)
        assert (sockets / "broker.sock").is_socket()
        everything = descendants(process.pid)
        second = subprocess.run(
            [*SERVE, "--data", str(data), "--port", "0"], check=False, capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 1
        assert f"process {process.pid}, {url}" in second.stderr
        assert "Traceback" not in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert len(everything) >= 4
    assert gone(everything)
    assert not sockets.exists()
    assert {path.name for path in (data / "logs").iterdir()} >= {"api.log", "broker.log", "worker-1.log"}


def test_nothing_outlives_a_killed_parent(tmp_path):
    data = tmp_path / "data"
    with serving(data) as (process, url, _):
        everything = descendants(process.pid)
        names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in everything]
        sockets = sockets_of(data)
        assert any(b"valkey-server" in name for name in names)
        assert any(b"uvicorn" in name for name in names)
        assert any(b"distill" in name for name in names)
        process.kill()
        process.wait()
        assert gone(everything)
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url)
    DataFolder(data).close()  # the lock is free, and the dead stack's socket is removed
    assert not sockets.exists()


def test_a_dead_part_ends_the_whole_and_is_named(tmp_path):
    with serving(tmp_path / "data") as (process, _, _):
        everything = descendants(process.pid)
        (api,) = [pid for pid in everything if b"uvicorn" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(api, signal.SIGKILL)
        assert process.wait(30) == 1
        complaint = process.stderr.read()
    assert "the api was killed by SIGKILL" in complaint
    assert "Application startup complete" in complaint  # the end of its log
    assert gone(everything)


def test_a_taken_port_is_a_sentence(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        command = [*SERVE, "--data", str(tmp_path), "--port", port]
        result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in result.stderr
    assert "--port 0" in result.stderr
    assert "Traceback" not in result.stderr


def test_port_0_is_a_free_one():
    with bind(0) as one, bind(0) as two:
        assert url_of(one) != url_of(two)
        with pytest.raises(PortTaken):
            bind(one.getsockname()[1])


def test_a_folder_has_one_stack_at_a_time(tmp_path):
    folder = DataFolder(tmp_path)
    folder.note("http://127.0.0.1:7")
    with pytest.raises(FolderInUse, match=f"process {os.getpid()}, http://127.0.0.1:7"):
        DataFolder(tmp_path)
    folder.close()
    DataFolder(tmp_path).close()


def test_the_sockets_folder_is_private_and_short(tmp_path):
    folder = DataFolder(tmp_path / ("long" * 40))
    assert folder.sockets.stat().st_mode & 0o777 == 0o700
    assert len(str(folder.sockets / "broker.sock")) < 50
    folder.close()
    assert not folder.sockets.exists()


def test_a_lock_file_cannot_order_removals(tmp_path):
    victim = tmp_path / "stillhouse-precious"
    victim.mkdir()
    data = tmp_path / "data"
    data.mkdir()
    (data / "serve.lock").write_text(f'{{"sockets": "{victim}"}}')
    DataFolder(data).close()
    assert victim.exists()


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    started = child(tmp_path, sys.executable, "-c", stubborn, grace=0.3)
    while "up" not in started.tail():
        time.sleep(0.01)
    start = time.monotonic()
    stop_together([started])
    assert 0.3 <= time.monotonic() - start < 5
    assert started.process.returncode == -signal.SIGKILL


def test_a_child_that_fails_shows_the_end_of_its_log(tmp_path):
    started = child(tmp_path, sys.executable, "-c", "print('line\\n' * 100 + 'the reason'); raise SystemExit(3)")
    with pytest.raises(ChildDied, match="exit status 3") as caught:
        started.finish(20)
    assert str(caught.value).endswith("the reason")


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path):
    program = (
        "import os, sys, time\nfrom pathlib import Path\nfrom stillhouse.embedded.children import Child\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "child = Child('s', ['/bin/sleep', '60'], folder=folder, log=folder / 's.log', environment=os.environ)\n"
        "print(child.process.pid, flush=True)\ntime.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        sleeper = int(parent.stdout.readline())
        while Path(f"/proc/{sleeper}/comm").read_text().strip() != "sleep":
            time.sleep(0.01)
        parent.kill()
    assert gone({sleeper})
