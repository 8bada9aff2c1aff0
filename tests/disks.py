"""A real file system with little room, which needs no root: a tmpfs in a mount namespace of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size="$1" none "$0" && echo mounted && exec cat'


class SmallDisk:
    """Seen through /proc/<who mounted it>/root: so this process, and what it starts, can use it like any folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, *, leave: int = 0) -> None:
        """Leave so many bytes free, rounded to pages."""
        with self._ballast.open("ab") as file:
            while (size := self.free() - leave) > 0:
                with suppress(OSError):  # somebody else was quicker: less is left
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)

    def make_room(self) -> None:
        self._ballast.unlink()

    def free(self) -> int:
        return shutil.disk_usage(self.path).free


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """Mount a disk of `size` bytes; skips where the kernel lets nobody but root do so."""
    folder.mkdir()
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT, str(folder), str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as holder:
        assert holder.stdin
        assert holder.stdout
        try:
            said = holder.stdout.readline().decode()
            if said != "mounted\n":
                pytest.skip(f"no mount namespaces for users here: {said}")
            yield SmallDisk(Path(f"/proc/{holder.pid}/root{folder}"))
        finally:
            holder.stdin.close()
