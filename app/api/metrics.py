"""/metrics, in Prometheus' text format: what this process counts, and what the database knows when it is asked."""

from collections.abc import Callable, Iterable, Iterator
from statistics import median
from time import monotonic

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.dependencies import DatabaseDep, SettingsDep
from app.contract.states import JobState
from app.contract.webhooks import DeliveryState, DisabledBy
from app.db.session import Database
from app.operations.service import Numbers, numbers

router = APIRouter(tags=["health"])
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Requests:
    """Counts this process's requests by operation and status: never by path or method, which are the caller's words."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._seconds = Histogram(
            "stillhouse_http_request_seconds",
            "Time until the answer to a request began.",
            ("operation", "status"),
            registry=self.registry,
            buckets=_SECONDS,
        )

    def saw(self, operation: str, status: int, seconds: float) -> None:
        self._seconds.labels(operation, str(status)).observe(seconds)


class Measured:
    """Tells `Requests` of every request, also of those that fail. Inside of HeadAsGet: HEAD counts as GET."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self.app, self.requests = app, requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, seconds = monotonic(), 500, None

        async def send_timed(message: Message) -> None:
            nonlocal status, seconds
            if message["type"] == "http.response.start":
                status, seconds = message["status"], monotonic() - began
            await send(message)

        try:
            await self.app(scope, receive, send_timed)
        finally:
            self.requests.saw(_operation(scope), status, monotonic() - began if seconds is None else seconds)


def _operation(scope: Scope) -> str:
    """Return the operationId of the route that was found: FastAPI's routes know their path without its prefix only."""
    return str(getattr(scope.get("route"), "name", "none"))


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
async def get_metrics(request: Request, database: DatabaseDep, settings: SettingsDep) -> PlainTextResponse:
    """Requests of this process, jobs and queue of the whole installation; no ids and nothing of any tenant's."""
    requests: Requests = request.app.state.requests
    installation = CollectorRegistry()
    installation.register(Installation(await _numbers(database, settings.lease_seconds)))
    text = generate_latest(requests.registry) + generate_latest(installation)
    return PlainTextResponse(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


async def _numbers(database: Database, lost_after: float) -> Numbers | None:
    try:
        async with database.reading() as session:
            return await numbers(session, lost_after)
    except (SQLAlchemyError, OSError):
        return None


class Installation(Collector):
    """What the database knows; only that it is away, where it is (None)."""

    def __init__(self, found: Numbers | None) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("stillhouse_database_up", "Whether the database answered.", float(bool(self._found)))
        if self._found:
            for family in (_jobs, _queue, _oldest, _lost, _slots, _busy, _steps, _samples, _deliveries, _disabled):
                yield family(self._found)
            yield from _gpus(self._found)


def _gauge(name: str, text: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(f"stillhouse_{name}", text, labels=[label])
    for key, value in values:
        family.add_metric([key], value)
    return family


def _jobs(found: Numbers) -> Metric:
    jobs = ((state.value, found.jobs_by_state.get(state.value, 0)) for state in JobState)
    return _gauge("jobs", "Stored jobs.", "state", jobs)


def _queue(found: Numbers) -> Metric:
    waiting = {"": 0, **{one.blocked_by or "": one.jobs for one in found.queue}}
    return _gauge("queue_jobs", "Queued jobs, by what they wait for (empty: a worker).", "blocked_by", waiting.items())


def _oldest(found: Numbers) -> Metric:
    ages = {"": 0.0, **{one.blocked_by or "": one.oldest_seconds for one in found.queue}}
    return _gauge("queue_oldest_seconds", "How long the oldest queued job waits.", "blocked_by", ages.items())


def _lost(found: Numbers) -> Metric:
    text = "Attempts of stored jobs that ended with a lost worker or a crashed engine; falls when jobs are deleted."
    return GaugeMetricFamily("stillhouse_attempts_lost", text, found.attempts_lost)


def _slots(found: Numbers) -> Metric:
    return _gauge("slots", "Jobs that the workers of a host take at once.", "host", found.slots_by_host.items())


def _busy(found: Numbers) -> Metric:
    return _gauge("busy_slots", "Jobs that the workers of a host hold.", "host", found.jobs_by_host.items())


def _gpus(found: Numbers) -> Iterator[Metric]:
    """Yield what drivers tell of GPUs; nothing of what they do not."""
    for name, text, field in _OF_A_GPU:
        family = GaugeMetricFamily(f"stillhouse_gpu_{name}", text, labels=["host", "gpu"])
        for (host, gpu), use in found.gpus.items():
            if (value := getattr(use, field)) is not None:
                family.add_metric([host, gpu], value)
        yield family


_OF_A_GPU = (
    ("memory_used_bytes", "Memory of a GPU that is taken, by whatever program.", "memory_used"),
    ("memory_total_bytes", "Memory of a GPU.", "memory_total"),
    ("utilization_ratio", "Share of the last moment in which anything ran on a GPU.", "utilization"),
)


def _steps(found: Numbers) -> Metric:
    text = "Time of a training step in the jobs that run, as last reported: the median job, and the slowest."
    seconds = [pace.step_seconds for pace in found.paces]
    kinds: dict[str, Callable[[list[float]], float]] = {"0.5": median, "1": max}
    return _gauge("step_seconds", text, "quantile", ((name, of(seconds)) for name, of in kinds.items() if seconds))


def _samples(found: Numbers) -> Metric:
    text = "Samples that the jobs that run train on each second, together."
    together = sum(pace.samples_per_second for pace in found.paces)
    return GaugeMetricFamily("stillhouse_samples_per_second", text, together)


def _deliveries(found: Numbers) -> Metric:
    counts = ((state.value, found.deliveries_by_state.get(state.value, 0)) for state in DeliveryState)
    return _gauge("webhook_deliveries", "Stored deliveries to webhooks.", "state", counts)


def _disabled(found: Numbers) -> Metric:
    counts = ((why.value, found.webhooks_disabled.get(why.value, 0)) for why in DisabledBy)
    return _gauge("webhooks_disabled", "Webhooks that are disabled, by why.", "by", counts)
