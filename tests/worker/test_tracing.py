"""One job is one trace, from the request that submitted it to the last phase of its engine."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.settings import Settings
from tests.servers import wait_until
from tests.worker.collector import Collector, collecting
from tests.worker.conftest import House
from tests.worker.test_supervisor import distill, submit
from tests.worker.waiting import eventually
from tests.worker.workers import api, worker
from worker import supervisor

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PHASES = {"staging", "teacher_pass", "training", "evaluating", "exporting", "publishing"}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Spans do not meet the database's dialect."""
    return sqlite_url


def spec(teacher: str, data: str) -> dict[str, Any]:
    student = {"architecture": {"kind": "mlp", "inputs": 6, "hidden": [4], "classes": 3}}
    return {"teacher": teacher, "transfer_set": data, "student": student, "training": {"epochs": 1}, "control": False}


def the(collector: Collector, name: str) -> Span:
    [span] = [span for _, span in collector.got if span.name == name]
    return span


@pytest.mark.anyio
async def test_a_callers_trace_goes_on_through_api_attempt_and_engine(house: House, tmp_path: Path) -> None:
    teacher, data = await house.model(), await house.dataset()
    await house.pass_inspections()
    with collecting() as collector:
        with (
            api(house.settings, tmp_path / "api.log", **collector.environment()) as client,
            worker(house.settings, STILLHOUSE_LOG_FORMAT="json", **collector.environment()) as running,
        ):
            asked = {"traceparent": f"00-{TRACE}-{CALLER}-01", "X-Request-ID": "mine"}
            job_id = client.post("/v1/jobs", json=spec(teacher, data), headers=asked).json()["id"]
            client.get("/healthz")
            await eventually(lambda: house.is_over(job_id), seconds=90, what="the end of the job")
        said = running.said()
        wait_until(lambda: "attempt" in collector.names(), seconds=60, what="the last span")
    assert {span.trace_id.hex() for _, span in collector.got} == {TRACE}
    assert {name for name, _ in collector.got} == {"stillhouse-api", "stillhouse-worker"}
    request, attempt = the(collector, "POST /v1/jobs"), the(collector, "attempt")
    assert request.parent_span_id.hex() == CALLER
    assert {fact.key: fact.value.string_value for fact in request.attributes}["stillhouse.request_id"] == "mine"
    assert attempt.parent_span_id == request.span_id
    assert set(collector.names()) - {request.name, attempt.name} == PHASES
    for name in PHASES:
        assert the(collector, name).parent_span_id == attempt.span_id
        assert attempt.start_time_unix_nano <= the(collector, name).start_time_unix_nano
        assert the(collector, name).end_time_unix_nano <= attempt.end_time_unix_nano
    lines = [json.loads(line) for line in said.splitlines() if "job_id" in line]
    assert {line["trace_id"] for line in lines} == {TRACE}


def test_a_collector_that_is_away_costs_no_request_and_no_stop(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    away = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with api(settings, log, **away) as client:
        began = time.monotonic()
        for _ in range(20):
            assert client.get("/v1/jobs").status_code == 200
        assert time.monotonic() - began < 10  # an exporter in their way would take 10 s for each
        time.sleep(0.3)  # now it tries to send
        began = time.monotonic()
    assert time.monotonic() - began < 8  # 2 s and a busy host: the exporter itself would try for 10
    assert "Finished server process" in log.read_text()
    assert re.search(r'"trace_id": "[0-9a-f]{32}"', log.read_text())


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a scripted engine's attempts leave."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    monkeypatch.setattr(supervisor, "ENGINE", "tests.worker.scripted")
    yield kept
    provider.shutdown()


def training(at: str) -> list[Any]:
    return ["report", {"type": "phase", "phase": "training", "run": "student", "time": at}]


def by_name(kept: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in kept.get_finished_spans()}


@pytest.mark.anyio
async def test_a_failure_is_the_error_of_its_phase_and_attempt(house: House, spans: InMemorySpanExporter) -> None:
    failed = {"type": "failed", "code": "non_finite_loss", "detail": "step 7", "time": "2026-01-01T00:00:09Z"}
    await submit(house, training("2026-01-01T00:00:02Z"), ["report", failed], ["exit", 1])
    await distill(house)
    found = by_name(spans)
    for name in ("training", "attempt"):
        assert (found[name].status.is_ok, found[name].status.description) == (False, "non_finite_loss: step 7")
    assert found["training"].end_time - found["training"].start_time == 7 * 10**9
    assert dict(found["training"].attributes or {}) == {"stillhouse.run": "student"}
    assert found["staging"].status.is_ok
    assert found["attempt"].parent is None


@pytest.mark.anyio
async def test_a_child_that_dies_ends_its_phase_with_an_error(house: House, spans: InMemorySpanExporter) -> None:
    await submit(house, training("2026-01-01T00:00:02Z"), ["die", 11], max_attempts=2)
    await distill(house)
    found = by_name(spans)
    for name in ("training", "attempt"):
        assert "SIGSEGV" in (found[name].status.description or "")
    assert (found["attempt"].attributes or {})["stillhouse.outcome"] == "queued"
