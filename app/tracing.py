"""OpenTelemetry traces: on where the standard OTEL_EXPORTER_OTLP_* variables name a collector, and otherwise nothing.

OpenTelemetry's API comes with FastAPI and does nothing by itself; its SDK (`stillhouse[tracing]`) is imported only
here, and only then. A thread of the SDK's sends spans in batches: a collector that is away costs a line in the log.
"""

import logging
import os
import threading
from importlib.metadata import version

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()
_HEADER = "traceparent"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_LAST_SPANS_SECONDS = 2.0
"""What the end of a process may wait for its last spans."""

log = logging.getLogger(__name__)


def start(service: str) -> TracerProvider | None:
    """Trace this process from here on, where that is configured; never in the way of its start."""
    if not _wanted():
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider as Provider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError:
        log.error("no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, but stillhouse[tracing] is not installed")  # noqa: TRY400
        return None
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = Provider(
        resource=Resource.create({**named, "service.version": version("stillhouse")}), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


def _wanted() -> bool:
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    if off or exporter == "none" or not any(os.environ.get(name) for name in _ENDPOINTS):
        return False
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "http/protobuf")
    if (exporter, protocol) != ("otlp", "http/protobuf"):
        log.error("no traces: only otlp over http/protobuf is spoken, not %s over %s", exporter, protocol)
        return False
    return True


def end() -> None:
    """Send what is left, for a bounded time, before the process ends."""
    close = getattr(trace.get_tracer_provider(), "shutdown", None)
    if close:
        last = threading.Thread(target=close, daemon=True)
        last.start()
        last.join(_LAST_SPANS_SECONDS)


def traceparent() -> str | None:
    """Return the current span for those who go on with it elsewhere (W3C Trace Context); None where there is none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get(_HEADER)


def continued(parent: str | None) -> Context:
    """Return the context in which a span is the child of the one that `traceparent` told of; else the first."""
    return _W3C.extract({_HEADER: parent} if parent else {}, context=Context())


def trace_id(span: Span) -> str | None:
    """Return what the lines of a log carry; None where nothing is traced."""
    context = span.get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None
