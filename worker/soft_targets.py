"""Soft targets that a tenant's jobs on a host share: a folder each, bounded together, least recently used go first."""

import contextlib
import fcntl
import logging
import os
import time
from pathlib import Path

from app.settings import Settings
from worker.folders import job_folder

_LEFT_BEHIND_AFTER = 3600.0
"""Seconds after which what a killed process left half-made is nobody's any more."""

log = logging.getLogger(__name__)


def folder(settings: Settings, tenant: str) -> Path | None:
    """Return the folder that a tenant's jobs on this host share; None where each keeps its own.

    Of a tenant: that a teacher was seen here before would show in the time that a job takes.
    """
    return _all(settings) / tenant if settings.soft_target_bytes else None


def _all(settings: Settings) -> Path:
    return settings.data / "soft_targets"


def made(settings: Settings, tenant: str) -> list[Path]:
    """Make the folder where there is none, and return it (or nothing): a job cannot, behind its walls."""
    shared = folder(settings, tenant)
    if shared:
        shared.mkdir(parents=True, exist_ok=True)
    return [shared] if shared else []


def from_job(settings: Settings, tenant: str) -> str:
    """Return the folder as a job's directory sees it: no path of this host gets into published files."""
    shared = folder(settings, tenant)
    return os.path.relpath(shared, job_folder(settings, "job")) if shared else "cache"


def make_room(settings: Settings) -> int:
    """Remove what is beyond the limit for all tenants, and what was left behind; return how many files went."""
    if not settings.soft_target_bytes:
        return 0
    files = (path for path in _all(settings).rglob("*") if path.is_file())
    found = sorted(((path, status) for path in files if (status := _status(path))), key=_last_used)
    removed = [path for path, status in found if _left_behind(path, status) and _remove_unused(path)]
    kept = [(path, status) for path, status in found if path not in removed]
    total = sum(status.st_blocks * 512 for _, status in kept)
    for path, status in kept:
        if total <= settings.soft_target_bytes:
            break
        if _remove_unused(path):
            total -= status.st_blocks * 512
            removed.append(path)
            log.info("removed the soft targets %s: least recently used", path.name)
    return len(removed)


def _last_used(entry: tuple[Path, os.stat_result]) -> float:
    return entry[1].st_mtime  # whoever opens a file renews it


def _left_behind(path: Path, status: os.stat_result) -> bool:
    return path.suffix == ".tmp" and time.time() - status.st_mtime > _LEFT_BEHIND_AFTER


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _remove_unused(path: Path) -> bool:
    """Remove a file, unless a job has it open: it would hold a shared lock."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
        return True
    return False
