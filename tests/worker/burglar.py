"""What code that broke out of a parser would try, run where a job's engine runs: `attempts.json` says what to try.

Each attempt's outcome goes to `outcomes.json`: `done`, or the error's name.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read(path: str) -> None:
    Path(path).read_bytes()


def write(path: str) -> None:
    Path(path).write_text("was here")


def list_folder(path: str) -> None:
    list(Path(path).iterdir())


def remove(path: str) -> None:
    Path(path).unlink()


def rename(paths: list[str]) -> None:
    Path(paths[0]).rename(paths[1])


def link(paths: list[str]) -> None:
    Path(paths[1]).hardlink_to(paths[0])


def read_through_a_link(path: str) -> None:
    Path("link").unlink(missing_ok=True)
    Path("link").symlink_to(path)
    Path("link").read_bytes()


def connect(port: int) -> None:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", port))


def connect_locally(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)


def listen(_: None) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))


def run(program: str) -> None:
    subprocess.run([program], check=True)


def replace_itself(program: str) -> None:
    os.execv(program, [program])


def fork(_: None) -> None:
    if os.fork() == 0:
        os._exit(0)


def start_a_thread(_: None) -> None:
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def signal_another(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


def signal_itself(_: None) -> None:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.kill(os.getpid(), signal.SIGUSR1)


def allocate(size: int) -> None:
    bytearray(size)


def call(arguments: list[int]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*map(ctypes.c_long, arguments)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def train(_: None) -> None:
    import torch

    layer = torch.nn.Linear(3, 2)
    layer(torch.ones(4, 3)).sum().backward()
    torch.save(layer.state_dict(), "layer.pt")


ATTEMPTS: dict[str, Callable[[Any], None]] = {
    attempt.__name__: attempt
    for attempt in (
        read, write, list_folder, remove, rename, link, read_through_a_link, connect, connect_locally, listen, run,
        replace_itself, fork, start_a_thread, signal_another, signal_itself, allocate, call, train,
    )
}  # fmt: skip


def outcome(name: str, argument: Any) -> str:
    try:
        ATTEMPTS[name](argument)
    except (OSError, MemoryError) as error:
        return type(error).__name__
    return "done"


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    attempts = json.loads(Path("attempts.json").read_text())
    Path("outcomes.json").write_text(json.dumps([outcome(name, argument) for name, argument in attempts]))
