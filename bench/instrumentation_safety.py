"""What must never happen, counted over many requests."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry

from bench.discard import Discard
from bench.rows import Row
from sloctl.instrumentation import ContextMiddleware, configure, counters, current
from sloctl.instrumentation.metrics import SEMCONV_BUCKETS, HttpMetrics
from testing.asgi import call
from testing.fuzzing import header_set, plain, without_id

HEADER_SETS: Final = 100_000
INTERLEAVED: Final = 10_000
REQUESTS: Final = 100_000
TENANTS: Final = 10_000
CAP: Final = 100
KIB: Final = 1024


def middleware(app: Any, tenants: int | None = None) -> ContextMiddleware:
    """The middleware with everything on."""
    runtime = configure(
        "bench",
        "bench",
        sample_ratio=0.1,
        exporters=[Discard()],
        baggage=["plan"],
        registry=CollectorRegistry(),
        set_global=False,
    )
    metrics = HttpMetrics(runtime.registry, SEMCONV_BUCKETS, tenants)
    return ContextMiddleware(app, runtime, trust="internal", metrics=metrics)


def failures() -> float:
    return sum(s.value for metric in counters.FAILURES.collect() for s in metric.samples if s.name.endswith("_total"))


async def changed_responses() -> int:
    """How many of many odd header sets get another response than without the middleware."""
    wrapped = middleware(plain)
    draw = random.Random(7)
    changed = 0
    for _ in range(HEADER_SETS):
        headers = header_set(draw)
        bare, ours = await call(plain, "/x", headers), await call(wrapped, "/x", headers)
        changed += without_id(ours.messages) != bare.messages or ours.error is not None
    return changed


async def leaks() -> int:
    """How many of many interleaved requests see the context of another."""
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        expected = dict(scope["headers"])[b"x-request-id"].decode()
        for _ in range(3):
            context = current()
            seen.append(context is not None and context.request_id == expected)
            await asyncio.sleep(random.random() / 1000)
        await plain(scope, receive, send)

    wrapped = middleware(app)
    ids = [f"request-{number:06}" for number in range(INTERLEAVED)]
    responses = await asyncio.gather(
        *(call(wrapped, "/x", [(b"x-request-id", request_id.encode())]) for request_id in ids)
    )
    wrong = sum(response.request_id != each for response, each in zip(responses, ids, strict=True))
    return wrong + seen.count(False) + (3 * INTERLEAVED - len(seen)) + (current() is not None)


async def memory() -> tuple[float, int]:
    """KiB that many requests of many tenants add, and how many tenants have a label then."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        context = current()
        if context is not None:
            context.set_tenant(scope["path"][1:])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    wrapped = middleware(app, CAP)
    draw = random.Random(7)

    async def run(requests: int) -> None:
        for _ in range(requests):
            await call(wrapped, f"/tenant-{draw.randrange(TENANTS)}", header_set(draw))

    await run(REQUESTS // 10)
    before = held(wrapped)
    await run(REQUESTS)
    after = held(wrapped)
    tenants = {
        s.labels["tenant"]
        for metric in wrapped.entrance.runtime.registry.collect()
        for s in metric.samples
        if s.name == "tenant_requests_total"
    }
    return (after - before) / KIB, len(tenants)


def held(wrapped: ContextMiddleware) -> int:
    """Bytes that Python objects hold, once waiting spans are exported and garbage is collected."""
    wrapped.entrance.runtime.provider.force_flush()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def rows() -> Iterator[Row]:
    before = failures()
    yield Row("responses changed of 100 000 header sets", asyncio.run(changed_responses()), at_most=0)
    yield Row("requests of 10 000 interleaved that see another's context", asyncio.run(leaks()), at_most=0)
    tracemalloc.start()
    grown, tenants = asyncio.run(memory())
    tracemalloc.stop()
    yield Row("KiB more held after 100 000 requests of 10 000 tenants", grown, at_most=100)
    yield Row("label values of 10 000 tenants, cap 100", tenants, at_most=CAP + 2)
    yield Row("steps of ours that failed in all of these", failures() - before, at_most=0)
