"""One job: follow it, wait for it, fetch what it made."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from app.contract.report import Report
from app.contract.resources import Artifact, Failure, Job, JobEvent, Metrics, Page
from app.contract.states import TERMINAL, JobState
from stillhouse import calls
from stillhouse.download import StoredArtifact
from stillhouse.errors import JobFailed, NoSuchArtifact
from stillhouse.events import job_events
from stillhouse.follow import Drawing, follow
from stillhouse.pages import every
from stillhouse.sources import Path_
from stillhouse.transport import Transport
from stillhouse.waiting import wait_until


class JobHandle:
    """A job of the service. `resource` holds all that was known of it when it was last asked for."""

    def __init__(self, transport: Transport, resource: Job, *, progress: bool) -> None:
        self._transport = transport
        self._progress = progress
        self.resource = resource
        self.id = resource.id
        self._path = f"/v1/jobs/{resource.id}"

    def __repr__(self) -> str:
        return f"<job {self.id}: {self.state}>"

    @property
    def name(self) -> str | None:
        return self.resource.name

    @property
    def state(self) -> JobState:
        """The state when last asked: `refresh()`, `wait()` and `follow()` ask."""
        return self.resource.state

    @property
    def failure(self) -> Failure | None:
        return self.resource.failure

    @property
    def finished(self) -> bool:
        """Whether the job had reached its end when last asked."""
        return self.state in TERMINAL

    def refresh(self) -> Self:
        self.resource = self._transport.send(calls.get(self._path, Job))
        return self

    def follow(self, drawing: Drawing | None = None) -> Self:
        """Show the progress until the job's end. Ctrl-C detaches: it returns, and the job goes on.

        Raises JobFailed where the job ends without a student.
        """
        try:
            follow(self.name or self.id, self.events(), drawing)
        except KeyboardInterrupt:
            sys.stderr.write(
                f"\nDetached; the job goes on. `stillhouse follow {self.id}` shows it again, "
                f"`stillhouse cancel {self.id}` stops it.\n"
            )
            return self.refresh()
        self.refresh()
        return self._succeeded()

    def wait(self, *, timeout: float | None = None) -> Self:
        """Wait for the job's end, silently. Raises JobFailed, and WaitTimeout after `timeout` seconds (None: never)."""
        wait_until(self.refresh, lambda job: job.finished, timeout, f"job {self.id}")
        return self._succeeded()

    def cancel(self) -> Self:
        """Ask for the job's end; safe to repeat."""
        self.resource = self._transport.send(calls.wish(self.id, "cancel"))
        return self

    def pause(self) -> Self:
        """Lay the job down until it is resumed; safe to repeat. One that runs writes its checkpoint first.

        Raises Conflict where it is over, or about to be.
        """
        self.resource = self._transport.send(calls.wish(self.id, "pause"))
        return self

    def resume(self) -> Self:
        """Let a paused job go on from its checkpoint; safe to repeat. Raises Conflict where it is over."""
        self.resource = self._transport.send(calls.wish(self.id, "resume"))
        return self

    def retry(self) -> "JobHandle":
        """Try a job again that failed, was cancelled or expired: return the new job, its only retry. Safe to repeat.

        It goes on from the last checkpoint where that is still there. Raises Conflict where there is nothing to try
        again, InvalidSpec where its inputs are gone.
        """
        return JobHandle(self._transport, self._transport.send(calls.wish(self.id, "retry")), progress=self._progress)

    def clone(self, *, name: str | None = None, idempotency_key: str | None = None) -> "JobHandle":
        """Submit the job's resolved spec again, and return the new job: on the same CPU it makes the same student.

        Raises InvalidSpec where its inputs are gone.
        """
        resource = self._transport.send(calls.clone(self.id, name, idempotency_key))
        return JobHandle(self._transport, resource, progress=self._progress)

    def delete(self) -> None:
        """Remove a finished job and what it published."""
        self._transport.send(calls.delete(self._path))

    def change(
        self, *, name: str | None = None, priority: int | None = None, labels: dict[str, str] | None = None
    ) -> Self:
        self.resource = self._transport.send(calls.change(self._path, Job, name=name, priority=priority, labels=labels))
        return self

    def events(self, *, after: int = 0) -> Iterator[JobEvent]:
        """Yield the events after number `after` as they happen, to the job's end; survives broken connections."""
        return job_events(self._transport, self.id, after)

    def logs(self) -> str:
        """Return what the engine printed."""
        return self._transport.send(calls.logs(self.id))

    def metrics(
        self, *, name: str | None = None, from_step: int | None = None, max_points: int | None = None
    ) -> Metrics:
        """Return the series over steps, thinned out by the service to `max_points` each."""
        call = calls.get(f"{self._path}/metrics", Metrics, name=name, from_step=from_step, max_points=max_points)
        return self._transport.send(call)

    @property
    def report(self) -> Report:
        """Teacher, student, and the same student without the teacher, compared."""
        return self._transport.send(calls.report(self.id))

    @property
    def artifacts(self) -> list[StoredArtifact]:
        """What the job has published."""
        return list(every(self._transport, f"{self._path}/artifacts", Page[Artifact], self._bind))

    @property
    def student(self) -> StoredArtifact:
        """The distilled weights. Raises NoSuchArtifact before the job has succeeded."""
        for artifact in self.artifacts:
            if artifact.kind == "student":
                return artifact
        raise NoSuchArtifact(f"job {self.id} has no student yet: it is {self.refresh().state}")

    def download(self, folder: Path_ = ".") -> list[Path]:
        """Fetch all that the job has published into a folder, which is made where it is missing; return the files.

        The card in it, `README.md`, says how the student is loaded. Raises NoSuchArtifact before the job has succeeded.
        """
        published = self.artifacts
        if not published:
            raise NoSuchArtifact(f"job {self.id} has published nothing yet: it is {self.refresh().state}")
        Path(folder).mkdir(parents=True, exist_ok=True)
        return [stored.download(folder) for stored in published]

    def _bind(self, artifact: Artifact) -> StoredArtifact:
        return StoredArtifact(self._transport, artifact, progress=self._progress)

    def _succeeded(self) -> Self:
        if self.state is not JobState.SUCCEEDED:
            raise JobFailed(self.resource)
        return self
