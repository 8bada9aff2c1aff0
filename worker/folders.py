"""The directories of this host: one a job, kept between attempts for its checkpoints, and one an inspection."""

import logging
import shutil
import time
from pathlib import Path

from app.contract.learnt import CACHE, CHECKPOINTS
from app.contract.states import TERMINAL, JobState
from app.db.session import Database
from app.jobs.repository import JobRepository
from app.settings import Settings
from worker.child import evict

_LEFT_BEHIND_AFTER = 3600.0
"""Seconds after which the directory of an inspection is nobody's any more, whatever its limit."""
_LEARNT = (CACHE, CHECKPOINTS)
"""Finished trainings and the last checkpoints of the one that is not."""
_RETRIED = {JobState.FAILED, JobState.EXPIRED}
"""Ends after which people try again; what a cancelled job had learnt nobody wants."""

log = logging.getLogger(__name__)


def job_folder(settings: Settings, job_id: str) -> Path:
    return settings.data / "jobs" / job_id


def inspection_folder(settings: Settings, subject_id: str, attempt: int) -> Path:
    return settings.data / "inspections" / f"{subject_id}-{attempt}"


def remove(folder: Path) -> None:
    """Remove a directory and whatever still works in it."""
    evict(folder)
    shutil.rmtree(folder, ignore_errors=True)


def strip(folder: Path) -> None:
    """Leave of a job's directory what a retry goes on from, and nothing where there is no such thing."""
    if not any(any((folder / name).glob("*.safetensors")) for name in _LEARNT):
        remove(folder)
    elif spare := [entry for entry in folder.iterdir() if entry.name not in _LEARNT]:
        evict(folder)
        for entry in spare:
            shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink(missing_ok=True)


def inherit(folder: Path, earlier: Path) -> None:
    """Take over what a job had learnt that was tried before, unless there is such a thing already."""
    if not earlier.exists():
        return
    evict(earlier)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _LEARNT:
        if (earlier / name).exists() and not (folder / name).exists():
            (earlier / name).rename(folder / name)
    remove(earlier)


async def sweep_jobs(database: Database, settings: Settings) -> int:
    """Remove this host's directories of jobs that are over or gone; return how many.

    Of those that failed or expired a while ago only, what they had learnt stays.
    """
    folders = {folder.name: folder for folder in _inside(settings.data / "jobs")}
    if not folders:
        return 0
    async with database.reading() as session:
        states = await JobRepository(session).states(list(folders))
        recent = await JobRepository(session).ended_since(list(folders), settings.failed_seconds)
    over = [folder for job_id, folder in folders.items() if JobState(states.get(job_id, JobState.EXPIRED)) in TERMINAL]
    kept = [folder for folder in over if folder.name in recent and states[folder.name] in _RETRIED]
    for folder in kept:
        strip(folder)
    gone = [folder for folder in over if folder not in kept]
    for folder in gone:
        log.info("removing the directory of %s", folder.name)
        remove(folder)
    return len(gone)


async def sweep_inspections(settings: Settings) -> int:
    """Remove directories that inspectors left behind when they were killed; return how many."""
    limit = time.time() - _LEFT_BEHIND_AFTER - 2 * settings.inspection_seconds
    old = [folder for folder in _inside(settings.data / "inspections") if folder.stat().st_mtime < limit]
    for folder in old:
        remove(folder)
    return len(old)


def _inside(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()] if folder.exists() else []
