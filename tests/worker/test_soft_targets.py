"""Soft targets that jobs share: on one host by a folder, between hosts by the store."""

import fcntl
import os
from pathlib import Path

from app.settings import Settings
from worker import soft_targets


def kept(settings: Settings, *sizes: int) -> list[Path]:
    """Put files into the shared folder, the least recently used first."""
    folder = soft_targets.folder(settings)
    assert folder
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.safetensors" for number in range(len(sizes))]
    for age, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        path.write_bytes(bytes(size))
        os.utime(path, (age, age))
    return paths


def test_the_least_recently_used_make_room(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, soft_target_bytes=100_000)
    paths = kept(settings, 40_960, 40_960, 40_960, 40_960)
    with paths[0].open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as a job that uses it does
        assert soft_targets.make_room(settings) == 2
    assert [path.exists() for path in paths] == [True, False, False, True]
    assert soft_targets.make_room(settings) == 0


def test_half_made_files_go_after_a_while(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    [path] = kept(settings, 10)
    old, new = path.with_suffix(".tmp"), path.with_name("new.tmp")
    path.rename(old)
    new.write_bytes(b"")
    assert soft_targets.make_room(settings) == 1
    assert new.exists()


def test_no_limit_no_folder(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, soft_target_bytes=0)
    assert soft_targets.folder(settings) is None
    assert soft_targets.make_room(settings) == 0
