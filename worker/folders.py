"""The directories of this host: one a job, kept between attempts for its checkpoints, and one an inspection."""

import logging
import shutil
import time
from pathlib import Path

from app.contract.states import TERMINAL, JobState
from app.db.session import Database
from app.jobs.repository import JobRepository
from app.settings import Settings
from worker.child import evict

_LEFT_BEHIND_AFTER = 3600.0
"""Seconds after which the directory of an inspection is nobody's any more, whatever its limit."""

log = logging.getLogger(__name__)


def job_folder(settings: Settings, job_id: str) -> Path:
    return settings.data / "jobs" / job_id


def inspection_folder(settings: Settings, subject_id: str, attempt: int) -> Path:
    return settings.data / "inspections" / f"{subject_id}-{attempt}"


def remove(folder: Path) -> None:
    """Remove a directory and whatever still works in it."""
    evict(folder)
    shutil.rmtree(folder, ignore_errors=True)


async def sweep_jobs(database: Database, settings: Settings) -> int:
    """Remove this host's directories of jobs that are over or gone; return how many."""
    folders = {folder.name: folder for folder in _inside(settings.data / "jobs")}
    if not folders:
        return 0
    async with database.reading() as session:
        states = await JobRepository(session).states(list(folders))
    over = [folder for job_id, folder in folders.items() if JobState(states.get(job_id, JobState.EXPIRED)) in TERMINAL]
    for folder in over:
        log.info("removing the directory of %s", folder.name)
        remove(folder)
    return len(over)


async def sweep_inspections(settings: Settings) -> int:
    """Remove directories that inspectors left behind when they were killed; return how many."""
    limit = time.time() - _LEFT_BEHIND_AFTER - 2 * settings.inspection_seconds
    old = [folder for folder in _inside(settings.data / "inspections") if folder.stat().st_mtime < limit]
    for folder in old:
        remove(folder)
    return len(old)


def _inside(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.exists() else []
