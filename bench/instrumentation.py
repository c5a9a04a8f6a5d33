"""What the middleware costs a request, beside the three packages that people stack for the same.

Everything runs in one process in CPU time. Each round runs every application in a new order, so that a busy
machine hits all alike; the cost of an application is the median over the rounds, and its overhead is what it
costs more than the bare FastAPI application.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from time import process_time
from typing import Any, Final

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from bench.rows import Row
from sloctl.instrumentation import configure, instrument_app

ROUNDS: Final = 40
REQUESTS: Final = 250
SEED: Final = 7

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
RATIOS: Final = {"always sampled": 1.0, "1 % sampled": 0.01, "never sampled": 0.0}
PLAIN: Final = [
    (b"host", b"tracking.example"),
    (b"user-agent", b"bench/1"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"),
]
TRACED: Final = [
    *PLAIN,
    (b"x-request-id", b"0123456789abcdef0123456789abcdef"),
    (b"traceparent", b"00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"),
    (b"baggage", b"plan=gold,region=eu,build=1234"),
]


class Discard(SpanExporter):
    """Takes spans and forgets them, so that only making them is measured."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the interface
        return SpanExportResult.SUCCESS


def application() -> FastAPI:
    """The application that every variant wraps."""
    app = FastAPI()

    @app.get("/shipments/{shipment}")
    async def shipment(shipment: str) -> dict[str, str]:
        return {"shipment": shipment, "status": "in transit"}

    return app


def bare(_ratio: float) -> ASGIApp:
    return application()


def ours(ratio: float) -> ASGIApp:
    app = application()
    runtime = configure(
        "bench",
        "bench",
        sample_ratio=ratio,
        exporters=[Discard()],
        baggage=["plan", "region", "build"],
        registry=CollectorRegistry(),
        set_global=False,
    )
    instrument_app(app, runtime, trust="internal")
    return app


def stacked(ratio: float, exclude_spans: list[Any] | None = None) -> ASGIApp:
    """asgi-correlation-id, prometheus-fastapi-instrumentator and opentelemetry-instrumentation-fastapi."""
    app = application()
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)), resource=Resource.create({"service.name": "bench"})
    )
    provider.add_span_processor(BatchSpanProcessor(Discard()))
    app.add_middleware(CorrelationIdMiddleware, validator=None)
    Instrumentator(registry=CollectorRegistry()).instrument(app)
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, meter_provider=NoOpMeterProvider(), exclude_spans=exclude_spans
    )
    return app


def tuned(ratio: float) -> ASGIApp:
    """The same without a span for each ASGI message."""
    return stacked(ratio, ["receive", "send"])


def scope(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
    """A GET request as a server hands it over."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/shipments/4711",
        "raw_path": b"/shipments/4711",
        "query_string": b"",
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"the application answered {message['status']}")


async def microseconds(app: ASGIApp, headers: Sequence[tuple[bytes, bytes]]) -> float:
    """CPU time of one request in microseconds, the mean of a round."""
    start = process_time()
    for _ in range(REQUESTS):
        await app(scope(headers), receive, send)
    return (process_time() - start) / REQUESTS * 1e6


def overheads(apps: Mapping[str, ASGIApp], headers: Sequence[tuple[bytes, bytes]]) -> dict[str, float]:
    """What each application costs more than `bare`, in microseconds of CPU time a request."""

    async def measure() -> dict[str, list[float]]:
        found: dict[str, list[float]] = {name: [] for name in apps}
        order = list(apps)
        draw = random.Random(SEED)
        for name in order:
            await microseconds(apps[name], headers)
        for _ in range(ROUNDS):
            draw.shuffle(order)
            for name in order:
                found[name].append(await microseconds(apps[name], headers))
        return found

    rounds = asyncio.run(measure())
    base = statistics.median(rounds["bare"])
    print("  ".join(f"{name} {statistics.median(values):.0f} us" for name, values in rounds.items()))
    return {name: statistics.median(values) - base for name, values in rounds.items()}


def variants(ratio: float) -> dict[str, ASGIApp]:
    makers = {"bare": bare, "ours": ours, "stacked": stacked, "tuned": tuned}
    return {name: make(ratio) for name, make in makers.items()}


def rows() -> Iterator[Row]:
    """Overhead of the stack divided by ours, and ours in microseconds."""
    for name, ratio in RATIOS.items():
        cost = overheads(variants(ratio), PLAIN)
        always = name == "always sampled"
        yield Row(f"{name}: stack / ours", cost["stacked"] / cost["ours"], at_least=4 if always else 7)
        yield Row(f"{name}: tuned stack / ours", cost["tuned"] / cost["ours"], at_least=3)
    cost = overheads(variants(1.0), TRACED)
    yield Row("traceparent and baggage in: stack / ours", cost["stacked"] / cost["ours"], at_least=4)
    yield Row("traceparent and baggage in: tuned stack / ours", cost["tuned"] / cost["ours"], at_least=2.8)
