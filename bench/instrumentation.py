"""What the middleware costs a request, beside the three packages that people stack for the same, and others.

The stack is asgi-correlation-id, prometheus-fastapi-instrumentator and opentelemetry-instrumentation-fastapi; the
tuned one makes no spans for single ASGI messages. FastAPI's own telemetry makes spans and metrics; by default also
spans of dependencies, endpoints and serialisation. See `bench.interleaved` for how it is measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from starlette_exporter import PrometheusMiddleware

from bench import (
    instrumentation_httpx,
    instrumentation_logs,
    instrumentation_safety,
    instrumentation_sockets,
    instrumentation_trace,
)
from bench.discard import Discard
from bench.interleaved import extra_costs
from bench.rows import Row
from sloctl.instrumentation import configure, instrument_app

REQUESTS: Final = 100

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


def application(**settings: Any) -> FastAPI:
    """The application that every variant wraps."""
    app = FastAPI(**settings)

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


def fastapi_itself(ratio: float, *, operations: bool = True) -> ASGIApp:
    """FastAPI's own telemetry, as it is or with spans of requests only."""
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)), resource=Resource.create({"service.name": "bench"})
    )
    provider.add_span_processor(BatchSpanProcessor(Discard()))
    meters = MeterProvider([InMemoryMetricReader()])
    return application(telemetry={"tracer_provider": provider, "meter_provider": meters, "operation_spans": operations})


def fastapi_requests_only(ratio: float) -> ASGIApp:
    return fastapi_itself(ratio, operations=False)


def exporter(_ratio: float) -> ASGIApp:
    """starlette_exporter, which has metrics alone."""
    app = application()
    app.add_middleware(PrometheusMiddleware, app_name="bench", group_paths=True)
    return app


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


async def requests(app: ASGIApp, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """One round of an application."""
    for _ in range(REQUESTS):
        await app(scope(headers), receive, send)


def overheads(apps: Mapping[str, ASGIApp], headers: Sequence[tuple[bytes, bytes]]) -> Mapping[str, float]:
    """What each application costs more than `bare`, in microseconds of CPU time a request."""

    async def measured() -> Mapping[str, float]:
        return await extra_costs({name: partial(requests, app, headers) for name, app in apps.items()}, REQUESTS)

    return asyncio.run(measured())


def variants(ratio: float) -> dict[str, ASGIApp]:
    makers = (bare, ours, stacked, tuned, fastapi_itself, fastapi_requests_only, exporter)
    return {make.__name__: make(ratio) for make in makers}


def rows() -> Iterator[Row]:
    """Overhead of others divided by ours, sockets, workers, httpx, log lines, what must never happen, and `trace`."""
    for name, ratio in RATIOS.items():
        recorded = ratio == 1
        cost = overheads(variants(ratio), PLAIN)
        yield Row(f"{name}: stack / ours", cost["stacked"] / cost["ours"], at_least=5 if recorded else 9)
        yield Row(f"{name}: tuned stack / ours", cost["tuned"] / cost["ours"], at_least=3)
        share = cost["ours"] / cost["fastapi_itself"]
        yield Row(f"{name}: ours / FastAPI's own telemetry", share, at_most=1 / 2 if recorded else 1 / 3)
        share = cost["ours"] / cost["fastapi_requests_only"]
        yield Row(f"{name}: ours / FastAPI's own, requests only", share, at_most=1 / 2 if recorded else 1 / 3)
        if ratio == 0:
            yield Row(f"{name}: starlette_exporter / ours", cost["exporter"] / cost["ours"], at_least=2)
    cost = overheads(variants(1.0), TRACED)
    yield Row("traceparent, baggage in: stack / ours", cost["stacked"] / cost["ours"], at_least=5)
    yield Row("traceparent, baggage in: tuned stack / ours", cost["tuned"] / cost["ours"], at_least=3)
    yield from instrumentation_sockets.rows()
    yield from instrumentation_httpx.rows()
    yield from instrumentation_logs.rows()
    yield from instrumentation_safety.rows()
    yield from instrumentation_trace.rows()
