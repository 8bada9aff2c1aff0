"""The data folder of an embedded stack: one stack at a time, private, and a short folder for the broker's socket."""

import fcntl
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TextIO

from stillhouse.errors import StillhouseError

SOCKETS = "stillhouse-"
"""Prefix of the folders for sockets."""


class FolderInUse(StillhouseError):
    """Another stack runs on the data folder."""


class DataFolder:
    """Locked for as long as the object is open; the kernel lets go of the lock when the process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.logs = self.path / "logs"
        self.logs.mkdir(exist_ok=True)
        self._lock = _locked(self.path / "serve.lock")
        _remove_sockets(_read(self._lock).get("sockets"))  # of a stack that was killed
        # A socket's path may have 108 characters, and a data folder's own may have more.
        self.sockets = Path(tempfile.mkdtemp(prefix=SOCKETS, dir="/tmp"))  # mkdtemp makes it 0700

    def note(self, url: str) -> None:
        """Write down who runs here, for the next one that tries, and what to remove should this process be killed."""
        self._lock.seek(0)
        self._lock.truncate()
        json.dump({"process": os.getpid(), "url": url, "sockets": str(self.sockets)}, self._lock)
        self._lock.flush()

    def log(self, name: str) -> Path:
        """Return the path of a process's new log; the one of the run before is kept beside it."""
        log = self.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        return log

    def close(self) -> None:
        shutil.rmtree(self.sockets, ignore_errors=True)
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.close()


def _locked(path: Path) -> TextIO:
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = _read(file)
        file.close()
        who = f" (process {other['process']}, {other['url']})" if {"process", "url"} <= other.keys() else ""
        raise FolderInUse(
            f"another `stillhouse serve`{who} runs on {path.parent}; stop it, or choose another folder with --data"
        ) from None
    return file


def _read(file: TextIO) -> dict[str, str]:
    file.seek(0)
    try:
        found = json.loads(file.read())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _remove_sockets(folder: str | None) -> None:
    # Only a name that we gave: the lock file is data, not an order.
    if folder and Path(folder).name.startswith(SOCKETS) and Path(folder).parent == Path("/tmp"):  # noqa: S108
        shutil.rmtree(folder, ignore_errors=True)
