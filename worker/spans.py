"""The spans of one attempt at a job, in the trace of the request that submitted it: staging, phases, publishing.

The engine has neither a network nor credentials. Its phases are told by the events that the supervisor relays.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from app import tracing
from app.contract.events import EngineEvent, Failed, Finished, PhaseEntered
from app.jobs.leases import Lease


class Attempt:
    """Ended once; what is told after that counts for nothing."""

    def __init__(self, lease: Lease, worker: str) -> None:
        self._tracer = trace.get_tracer("stillhouse.worker")
        facts: dict[str, str | int] = {"job_id": lease.job_id, "attempt": lease.attempt, "worker": worker}
        parent = tracing.continued(lease.traceparent)
        self._span = self._tracer.start_span("attempt", parent, SpanKind.CONSUMER, _named(facts))
        self._inside = trace.set_span_in_context(self._span)
        self._phase: Span | None = None
        self.trace_id = tracing.trace_id(self._span)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """A part of the attempt, for as long as this is entered; an exception is its error."""
        with self._tracer.start_as_current_span(name, self._inside):
            yield

    def see(self, event: EngineEvent) -> None:
        """Follow the engine from one phase to the next."""
        if isinstance(event, PhaseEntered):
            self.leave_phase(event.time)
            told = {"run": event.run, "stage": event.stage}
            facts = _named({name: str(value) for name, value in told.items() if value})
            self._phase = self._tracer.start_span(
                event.phase.value, self._inside, attributes=facts, start_time=_nanoseconds(event.time)
            )
        elif isinstance(event, Failed):
            self.leave_phase(event.time, f"{event.code}: {event.detail}")
        elif isinstance(event, Finished):
            self.leave_phase(event.time)

    def leave_phase(self, when: datetime | None = None, error: str | None = None) -> None:
        """End the phase that the engine is in, if it is in one; at once where no time is told."""
        if self._phase:
            if error:
                self._phase.set_status(StatusCode.ERROR, error)
            self._phase.end(_nanoseconds(when) if when else None)
            self._phase = None

    def end(self, outcome: str, error: str | None = None) -> None:
        """`outcome`: the job's state after it, or why it was lost."""
        if not self._span.is_recording():
            return
        self.leave_phase(error=error)
        self._span.set_attribute("stillhouse.outcome", outcome)
        if error:
            self._span.set_status(StatusCode.ERROR, error)
        self._span.end()


def _named(facts: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"stillhouse.{name}": value for name, value in facts.items()}


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1e9)
