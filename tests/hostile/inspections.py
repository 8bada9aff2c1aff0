"""Inspections as the worker starts them, forked instead of started anew, and what is left of each."""

import json
import os
import resource
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from app.contract.inspection import DatasetInspection, ModelInspection
from app.contract.job_file import InspectDataset, Inspection, InspectionFile, InspectModel
from tests.engine.forked import log_to, spawn
from worker.child import Command

_CODE = Path(__file__).parents[2]
_PATIENCE = 120
"""Seconds, on a busy machine."""
MOST = 2**30
"""Bytes of memory that an inspection may take above those of a process that did nothing yet."""
SECONDS = 20
_HEADROOM = 3 * 2**30
"""Of address space, of which Arrow reserves one at once. A worker gives more (`inspection_memory_bytes`)."""
_MAX_PARAMETERS = 10**8


@dataclass(frozen=True)
class Left:
    """What an inspection left."""

    code: int | None
    """Its exit code, negative for a signal, None where it had to be killed."""
    log: str
    finding: Inspection | None
    grown: int
    """Bytes of memory at its peak above those at its start."""
    seconds: float
    """Of work."""

    @property
    def said(self) -> str:
        return " ".join(problem.detail for problem in self.finding.problems) if self.finding else ""


def inspect(folder: Path, subject: InspectModel | InspectDataset) -> Left:
    """Inspect `folder`/inputs/upload in a process of its own, within the worker's walls."""
    job = InspectionFile(subject=subject, max_parameters=_MAX_PARAMETERS)
    (folder / "job.json").write_text(job.model_dump_json())
    (folder / "tmp").mkdir()
    process = spawn(_inspect, folder)
    process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()
        return Left(None, _read(folder / "log.txt"), None, 0, _PATIENCE)
    found = _read(folder / "out" / "inspection.json")
    form = ModelInspection if isinstance(subject, InspectModel) else DatasetInspection
    finding = form.model_validate_json(found) if found else None
    grown, seconds = json.loads(_read(folder.with_name("used")) or "[0, 0]")
    return Left(process.exitcode, _read(folder / "log.txt"), finding, grown, seconds)


def _inspect(folder: Path) -> None:
    from worker.engine.inspection.__main__ import main
    from worker.sandbox.walls import enter

    log_to(folder)
    os.chdir(folder)
    os.environ["TMPDIR"] = str(folder / "tmp")
    sys.argv = ["worker.engine.inspection", str(folder)]
    beside = os.open(folder.with_name("used"), os.O_WRONLY | os.O_CREAT, 0o600)
    begun, _ = _used()
    command = Command("worker.engine.inspection", folder, threads=1, memory=_address_space() + _HEADROOM)
    code = tuple(str(_CODE / package) for package in ("app", "worker"))
    enter(replace(command.walls(), parent=os.getppid(), read=code))
    try:
        code = main()
    finally:
        peak, seconds = _used()
        os.write(beside, json.dumps([peak - begun, seconds]).encode())
    sys.exit(code)


def _used() -> tuple[int, float]:
    """Return this process's bytes of memory at their peak, and its seconds of work."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_maxrss * 1024, used.ru_utime + used.ru_stime


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
