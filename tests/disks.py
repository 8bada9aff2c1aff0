"""A real file system with little room: a tmpfs, mounted by root, or else in a mount namespace of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size="$1" none "$0" && echo mounted && exec cat'


class SmallDisk:
    """A folder like any other; one of a namespace is seen through /proc/<who mounted it>/root.

    `inside`: what a command begins with that shall find it at the place where it was mounted, walls or not.
    """

    def __init__(self, path: Path, inside: Sequence[str] = ()) -> None:
        self.path, self.inside = path, inside
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
def small_disk(folder: Path, size: int, *, walled: bool = False) -> Iterator[SmallDisk]:
    """Mount a disk of `size` bytes; skips where the kernel does not let us.

    `walled`: for processes behind Landlock, which cannot look through /proc/<who mounted it>: only root can have that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode == 0:
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    elif walled:
        pytest.skip(f"only root can mount a disk for the sandbox: {mounted.stderr}")
    else:
        with _in_a_namespace(folder, size) as disk:
            yield disk


@contextmanager
def _in_a_namespace(folder: Path, size: int) -> Iterator[SmallDisk]:
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT, str(folder), str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as holder:
        assert holder.stdin
        assert holder.stdout
        try:
            said = holder.stdout.readline().decode()
            if said != "mounted\n":
                pytest.skip(f"no mount namespaces for users here: {said}")
            enter = ["nsenter", "--target", str(holder.pid), "--user", "--mount", "--preserve-credentials"]
            yield SmallDisk(Path(f"/proc/{holder.pid}/root{folder}"), ["/usr/bin/env", *enter])
        finally:
            holder.stdin.close()
