"""What a call with httpx costs, beside opentelemetry-instrumentation-httpx."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import use_span
from prometheus_client import CollectorRegistry

from bench.discard import Discard
from bench.interleaved import extra_costs
from bench.rows import Row
from sloctl.instrumentation import RequestContext, configure, instrument_httpx
from sloctl.instrumentation.context import entered

CALLS: Final = 100
RATIOS: Final = {"recorded": 1.0, "not recorded": 0.0}


def client() -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200)))


def bare(ratio: float) -> tuple[httpx.Client, TracerProvider]:
    return client(), provider(ratio)


def ours(ratio: float) -> tuple[httpx.Client, TracerProvider]:
    made = client()
    runtime = configure(
        "bench",
        "bench",
        sample_ratio=ratio,
        exporters=[Discard()],
        registry=CollectorRegistry(),
        set_global=False,
    )
    instrument_httpx(made, runtime)
    return made, runtime.provider


def theirs(ratio: float) -> tuple[httpx.Client, TracerProvider]:
    made, spans = client(), provider(ratio)
    HTTPXClientInstrumentor.instrument_client(made, tracer_provider=spans)
    return made, spans


def provider(ratio: float) -> TracerProvider:
    made = TracerProvider(sampler=ParentBased(TraceIdRatioBased(ratio)))
    made.add_span_processor(BatchSpanProcessor(Discard()))
    return made


def calls(made: httpx.Client, provider: TracerProvider) -> Callable[[], Awaitable[None]]:
    """A round of calls within one request."""

    async def run() -> None:
        span = provider.get_tracer("bench").start_span("request")
        with use_span(span, end_on_exit=True), entered(RequestContext("request-0001")):
            for _ in range(CALLS):
                made.get("http://orders.example/list")

    return run


def rows() -> Iterator[Row]:
    for name, ratio in RATIOS.items():
        variants = {make.__name__: calls(*make(ratio)) for make in (bare, ours, theirs)}
        cost = asyncio.run(extra_costs(variants, CALLS))
        yield Row(f"httpx, {name}: OpenTelemetry / ours", cost["theirs"] / cost["ours"], at_least=3)
