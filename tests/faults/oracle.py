"""What must hold whatever was done to the service: looked up in its database, its store and this host's processes.

No accepted job is missing, each has ended exactly once, its history has no gap and no step that the table of states
does not know; one set of artifacts at most, each of the bytes that its hash says; a failure has a code and a text.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.contract.states import TERMINAL, TRANSITIONS, FailureCode, JobState
from app.db.base import DEFAULT_TENANT
from app.db.session import Database
from app.db.tables import Artifact, Job, JobEvent
from app.jobs.repository import JobRepository
from app.store import BlobMissing, Store
from tests.worker.workers import alive

_ALL = 100_000
_ONCE = ("student", "report", "log")


@dataclass(frozen=True)
class Violation:
    """A promise that was broken. `kind`: lost, duplicated, hash, history, failure or process."""

    kind: str
    text: str
    job_id: str = ""


@dataclass(frozen=True)
class Record:
    """All that database and store know of a job."""

    job: Job
    events: Sequence[JobEvent]
    artifacts: Sequence[Artifact]


async def check(database: Database, store: Store, accepted: Iterable[str], data: Path) -> None:
    """Fail with every broken promise, and the histories of the jobs concerned."""
    found = [*await violations(database, store, accepted), *left_running(data)]
    lines = [f"{violation.kind} {violation.job_id}: {violation.text}" for violation in found]
    for job_id in {violation.job_id for violation in found} - {""}:
        lines += await history(database, job_id)
    assert not found, "\n".join(lines)


async def violations(database: Database, store: Store, accepted: Iterable[str]) -> list[Violation]:
    """Return the promises that were broken to these jobs; all of them must be over."""
    found: list[Violation] = []
    for job_id in accepted:
        record = await recorded(database, job_id)
        if record is None:
            found.append(Violation("lost", "there is no such job", job_id))
            continue
        broken = [*_of_history(record), *_of_results(record), *_of_failure(record)]
        broken += [("hash", text) async for text in _of_bytes(store, record.artifacts)]
        found += [Violation(kind, text, job_id) for kind, text in broken]
    return found


async def recorded(database: Database, job_id: str) -> Record | None:
    async with database.reading() as session:
        repository = JobRepository(session)
        job = await repository.get(DEFAULT_TENANT, job_id)
        if job is None:
            return None
        events = await repository.events(DEFAULT_TENANT, job_id, 0, _ALL)
        return Record(job, events, await repository.artifacts(DEFAULT_TENANT, job_id))


def _of_history(record: Record) -> Iterable[tuple[str, str]]:
    job, events = record.job, record.events
    if job.state not in TERMINAL:
        yield "lost", f"it never ended: {job.state}, attempt {job.attempt}"
    ends = [event.data.get("to") for event in events if event.type == "job.terminal"]
    if len(ends) > 1:
        yield "duplicated", f"it ended {len(ends)} times: {ends}"
    if ends and (events[-1].type != "job.terminal" or ends[-1] != job.state):
        yield "history", f"{job.state}, but the last event is {events[-1].type} {events[-1].data}"
    if [event.seq for event in events] != list(range(1, job.last_seq + 1)):
        yield "history", f"gaps or repetitions in the numbers of {len(events)} events up to {job.last_seq}"
    attempts = [event.attempt for event in events]
    if attempts != sorted(attempts):
        yield "history", "an event of an attempt came after one of a later attempt"
    yield from _of_states(record)


def _of_states(record: Record) -> Iterable[tuple[str, str]]:
    state = JobState.QUEUED
    for event in record.events:
        if event.type in {"job.state", "job.terminal"}:
            came, went = JobState(event.data["from"]), JobState(event.data["to"])
            if came is not state or went not in TRANSITIONS[came]:
                yield "history", f"event {event.seq} goes from {came} to {went}, and the job was {state}"
            state = went
    if state != record.job.state:
        yield "history", f"the events end in {state}, the job is {record.job.state}"


def _of_results(record: Record) -> Iterable[tuple[str, str]]:
    if record.job.state != JobState.SUCCEEDED:
        if record.artifacts:
            yield "duplicated", f"it is {record.job.state} and has published {len(record.artifacts)} artifacts"
        return
    kinds = Counter(artifact.kind for artifact in record.artifacts)
    yield from (("lost", f"it succeeded without a {kind}") for kind in _ONCE if not kinds[kind])
    yield from (("duplicated", f"{kinds[kind]} times {kind}") for kind in _ONCE if kinds[kind] > 1)
    names = Counter(artifact.name for artifact in record.artifacts)
    yield from (("duplicated", f"{count} times {name}") for name, count in names.items() if count > 1)


def _of_failure(record: Record) -> Iterable[tuple[str, str]]:
    job = record.job
    if job.state == JobState.FAILED and (job.failure_code not in set(FailureCode) or not job.failure_detail):
        yield "failure", f"it failed with the code {job.failure_code!r} and the text {job.failure_detail!r}"
    if job.state != JobState.FAILED and (job.failure_code or job.failure_detail):
        yield "failure", f"it is {job.state} with the failure {job.failure_code}"


async def _of_bytes(store: Store, artifacts: Sequence[Artifact]) -> AsyncIterator[str]:
    for artifact in artifacts:
        digest, size = hashlib.sha256(), 0
        try:
            async for chunk in store.stream(artifact.sha256):
                digest.update(chunk)
                size += len(chunk)
        except BlobMissing:
            yield f"the store does not hold {artifact.name}"
            continue
        if (digest.hexdigest(), size) != (artifact.sha256, artifact.size):
            yield f"the store holds other bytes of {artifact.name} than were published"


def unequal_students(records: Iterable[Record]) -> list[Violation]:
    """Return the jobs whose student is another one than that of an earlier job with the same spec, on one machine."""
    first: dict[str, tuple[str, str]] = {}
    found = []
    for record in records:
        for artifact in record.artifacts:
            if artifact.kind == "student":
                other, sha256 = first.setdefault(record.job.spec_hash, (record.job.id, artifact.sha256))
                if sha256 != artifact.sha256:
                    found.append(Violation("hash", f"another student than {other} of the same spec", record.job.id))
    return found


def left_running(data: Path) -> list[Violation]:
    """Return the processes of a service with this data folder: its workers, and the children in its directories."""
    return [Violation("process", f"left running: {pid} {_command(pid)}") for pid in processes_of(data)]


def processes_of(data: Path) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if (works_in(pid, data) or _is_told(pid, data)) and alive(pid)]


def works_in(pid: int, folder: Path) -> bool:
    """Return whether a process has its place in a folder or below."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    except OSError:  # it has ended
        return False


def _is_told(pid: int, data: Path) -> bool:
    try:
        return f"STILLHOUSE_DATA={data}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return "(it has ended meanwhile)"


async def history(database: Database, job_id: str) -> list[str]:
    """Return a job's history in lines; of what its engine told, only the first and the last of each kind in a row."""
    record = await recorded(database, job_id)
    if record is None:
        return [f"{job_id}: no such job"]
    lines = [f"{job_id}: {record.job.state}, attempt {record.job.attempt}, losses {record.job.losses}"]
    events = record.events
    for number, event in enumerate(events):
        neighbours = {other.type for other in (*events[max(0, number - 1) : number], *events[number + 1 : number + 2])}
        if not (event.type == "step" and neighbours <= {"step", "checkpoint"}):
            lines.append(f"  {event.seq:4} attempt {event.attempt} {event.time:%H:%M:%S.%f} {event.type} {event.data}")
    return lines
