"""A child in its sandbox: what it tries, for real, from where the engine runs."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from worker import child
from worker.sandbox import seccomp, walls

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(bool(walls.missing()), reason=f"this kernel lacks {walls.missing()}"),
]
DENIED = "PermissionError"


async def outcomes(folder: Path, attempts: list[tuple[str, Any]], **command: Any) -> list[str]:
    """Let the burglar try, and return how each attempt ended: the same for who starts cold, and for who was forked."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "attempts.json").write_text(json.dumps(attempts))
    found: list[list[str]] = []
    for warm in (0, 600):
        options = {"threads": 1, "warm_seconds": warm, **command}
        async with child.running(child.Command("tests.worker.burglar", folder, **options)) as process:
            assert await process.wait() == 0, (folder / child.LOG).read_text()
        found.append(json.loads((folder / "outcomes.json").read_text()))
    assert found[0] == found[1]
    return found[0]


async def test_it_works_in_its_own_folder_and_in_those_that_are_shared(tmp_path: Path) -> None:
    shared, mine = tmp_path / "shared", tmp_path / "jobs" / "mine"
    shared.mkdir()
    attempts = [
        ("write", "one"), ("rename", ["one", "two"]), ("read", "two"), ("list_folder", "."), ("remove", "two"),
        ("write", f"{shared}/one"), ("write", "../../shared/two"), ("rename", ["../../shared/two", "../../shared/one"]),
        ("write", "/dev/null"), ("read", "/dev/urandom/../null"), ("start_a_thread", None), ("signal_itself", None),
        ("train", None),
    ]  # fmt: skip
    found = await outcomes(mine, attempts, shared=[shared])
    told = {str(attempt): outcome for attempt, outcome in zip(attempts, found, strict=True)}
    assert told.pop(str(("read", "/dev/urandom/../null"))) == "NotADirectoryError"
    assert set(told.values()) == {"done"}, told


async def test_it_neither_reads_nor_writes_what_is_not_its_own(tmp_path: Path) -> None:
    mine, other = tmp_path / "jobs" / "mine", tmp_path / "jobs" / "other"
    other.mkdir(parents=True)
    (other / "weights").write_text("secret")
    mine.mkdir()
    code = Path(child.__file__).parents[1]
    attempts = [
        ("read", "/etc/passwd"), ("read", f"{other}/weights"), ("read", "../other/weights"),
        ("read_through_a_link", f"{other}/weights"), ("link", [f"{other}/weights", "weights"]),
        ("list_folder", str(other)), ("list_folder", str(tmp_path)), ("list_folder", "/tmp"),
        ("write", f"{other}/more"), ("write", f"{other}/weights"), ("remove", f"{other}/weights"),
        ("rename", [f"{other}/weights", "weights"]), ("write", "/tmp/was-here"), ("write", f"{sys.prefix}/was-here"),
        ("write", f"{code}/worker/was_here.py"), ("read", f"{code}/pyproject.toml"), ("list_folder", str(code)),
        ("read", f"/proc/{os.getpid()}/environ"), ("read", f"/proc/{os.getpid()}/mem"), ("read", "/proc/1/environ"),
    ]  # fmt: skip
    found = await outcomes(mine, attempts)
    link = ("link", [f"{other}/weights", "weights"])  # EXDEV: as if it lay on another disk
    assert [pair for pair in zip(attempts, found, strict=True) if pair[1] != DENIED] == [(link, "OSError")]
    assert (other / "weights").read_text() == "secret"


async def test_it_reaches_no_network_no_program_and_no_other_process(tmp_path: Path) -> None:
    local = str(tmp_path / "socket")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(local)
        unix.listen()
        attempts = [
            ("connect", server.getsockname()[1]), ("connect_locally", local), ("listen", None), ("run", "/bin/true"),
            ("replace_itself", "/bin/true"), ("fork", None), ("signal_another", os.getpid()), ("signal_another", 0),
            ("signal_another", -1),
        ]  # fmt: skip
        numbers = seccomp._MACHINES[os.uname().machine].numbers
        attempts += [("call", [numbers[name], os.getpid(), 0, 0, 0, 0]) for name in seccomp.REFUSED if name in numbers]
        found = await outcomes(tmp_path / "mine", attempts)
    assert [pair for pair in zip(attempts, found, strict=True) if pair[1] != DENIED] == []


async def test_its_memory_is_bounded(tmp_path: Path) -> None:
    attempts = [("allocate", 2**32), ("allocate", 2**20)]
    assert await outcomes(tmp_path, attempts, memory=2**31) == ["MemoryError", "done"]


def test_each_layer_is_up_by_itself() -> None:
    """Files are Landlock's, sockets and programs are those of seccomp."""
    lines = [
        "from worker.sandbox import landlock, limits, seccomp",
        "from pathlib import Path",
        "import socket, sys",
        "limits.gain_no_privileges()",
        "landlock.enter([Path('/usr'), Path(sys.prefix), Path(sys.base_prefix)], [], [])",
        "socket.socket().close()",
        "try: Path('/etc/passwd').read_text()",
        "except PermissionError: print('kept')",
    ]
    assert said(lines) == "kept\n"
    lines = [lines[0], *lines[1:4], "seccomp.enter()", "Path('/etc/passwd').read_text()"]
    assert said([*lines, "try: socket.socket()", "except PermissionError: print('kept')"]) == "kept\n"


def test_seccomp_holds_threads_that_were_there_before() -> None:
    lines = [
        "from worker.sandbox import limits, seccomp",
        "import socket, threading",
        "up = threading.Event()",
        "def connect():",
        "    up.wait()",
        "    try: socket.socket()",
        "    except PermissionError: print('kept')",
        "thread = threading.Thread(target=connect)",
        "thread.start()",
        "limits.gain_no_privileges()",
        "seccomp.enter()",
        "up.set()",
        "thread.join()",
    ]
    assert said(lines) == "kept\n"


def said(lines: list[str]) -> str:
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True, capture_output=True, text=True).stdout


def test_strict_walls_refuse_a_host_that_lacks_one() -> None:
    lines = [
        "from worker.sandbox import landlock, walls",
        "landlock.version = lambda: 0",
        "assert walls.missing() == ['landlock']",
        "try: walls.enter(walls.Walls(parent=0, write=(), strict=True))",
        "except walls.TooOpen as error: print(error)",
    ]
    assert said(lines) == "this host lacks landlock\n"
