"""What a soak found, counted."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.contract.states import FailureCode, JobState
from tests.faults.oracle import Record, Violation
from tests.faults.soak.plan import Fault
from tests.faults.soak.strikes import Victim

_LOST = {FailureCode.WORKER_LOST, FailureCode.ENGINE_CRASHED}


@dataclass(frozen=True)
class Struck:
    """A fault that has happened."""

    fault: Fault
    time: datetime
    victims: Sequence[Victim]


@dataclass(frozen=True)
class Recovery:
    """How long a job stood still: from the last fault that took its worker or engine to its next sign of life."""

    seconds: float
    kind: str
    job_id: str


def recoveries(struck: Sequence[Struck], records: Mapping[str, Record]) -> list[Recovery]:
    last: dict[tuple[str, datetime], Recovery] = {}
    for blow in sorted(struck, key=lambda blow: blow.time):
        for victim in blow.victims:
            end = _next_progress(records[victim.job_id], victim.attempt, blow.time)
            if end is not None:  # of several blows before the same sign of life, the last one counts
                seconds = (end - blow.time).total_seconds()
                last[victim.job_id, end] = Recovery(seconds, blow.fault.kind, victim.job_id)
    return list(last.values())


def _next_progress(record: Record, attempt: int, since: datetime) -> datetime | None:
    """Return the time of the first thing that a later attempt did, or of the end of the job."""
    signs = {"step", "checkpoint", "resumed", "job.terminal"}
    times = [event.time for event in record.events if event.type in signs and event.time > since
             and (event.attempt > attempt or event.type == "job.terminal")]  # fmt: skip
    return min(times, default=None)


def unexpected(records: Mapping[str, Record], cancelled: set[str]) -> list[Violation]:
    """Return the jobs that ended otherwise than what was done to them explains."""
    return [
        Violation("failure", f"it is {record.job.state} ({record.job.failure_detail}), which nobody wanted", job_id)
        for job_id, record in records.items()
        if not _explained(record, cancelled)
    ]


def _explained(record: Record, cancelled: set[str]) -> bool:
    job = record.job
    if job.state == JobState.CANCELLED:
        return job.id in cancelled
    worn_out = job.failure_code in _LOST and job.losses >= job.max_attempts
    return job.state == JobState.SUCCEEDED or (job.state == JobState.FAILED and worn_out)


def summary(
    heading: str, struck: Sequence[Struck], records: Mapping[str, Record], violations: Sequence[Violation]
) -> str:
    jobs = [record.job for record in records.values()]
    broken = Counter(violation.kind for violation in violations)
    kinds = ("lost", "duplicated", "hash", "history", "failure", "process")
    specs = Counter(job.spec_hash for job in jobs if job.state == JobState.SUCCEEDED)
    resumed = sum(event.type == "resumed" for record in records.values() for event in record.events)
    attempts, lost = sum(job.attempt for job in jobs), sum(job.losses for job in jobs)
    lines = [
        heading,
        f"  jobs        {_listed(Counter(job.state for job in jobs))}",
        f"  attempts    {attempts}, of them lost {lost}; {resumed} resumed from a checkpoint",
        f"  faults      {_listed(Counter(blow.fault.kind for blow in struck))}",
        f"  equal specs {sum(specs.values())} students of {len(specs)} specs compared",
        f"  violations  {', '.join(f'{kind} {broken[kind]}' for kind in kinds)}",
        f"  recovery    {_of_recoveries(recoveries(struck, records))}",
    ]
    return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda entry: -entry[1]))


def _of_recoveries(found: Sequence[Recovery]) -> str:
    if not found:
        return "nothing to recover from"
    longest = max(found, key=lambda recovery: recovery.seconds)
    median = statistics.median(recovery.seconds for recovery in found)
    return f"longest {longest.seconds:.1f} s ({longest.kind}, {longest.job_id}), median {median:.1f} s, of {len(found)}"
