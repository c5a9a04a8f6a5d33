"""Spans of databases, caches and clients by one call; and the spans of what failed, although it was not sampled."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

from sloctl.instrumentation import configure, consume, instrument_app
from sloctl.instrumentation.carriers import Incoming
from sloctl.instrumentation.tail import MOST_SPANS
from testing.asgi import call
from testing.servers import ROOT
from tests.instrumentation.conftest import Configure

# In a process of its own: the libraries of a process are instrumented once.
PROGRAM = """
import asyncio, json, sys
from fastapi import FastAPI
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sloctl.instrumentation import configure, current, instrument_app, instrument_libraries
from testing.asgi import call
exporter = InMemorySpanExporter()
runtime = configure("web", "test", processors=[SimpleSpanProcessor(exporter)])
outcomes = instrument_libraries(runtime, exclude=["celery"])
import redis, requests
store = redis.Redis(port=1)  # nobody listens: the span is there all the same
app = FastAPI()
@app.get("/stored")
def stored():
    current().set_tenant("acme")
    for call in (lambda: store.get("key"), lambda: requests.get("http://127.0.0.1:1/x")):
        try:
            call()
        except (redis.RedisError, requests.RequestException):
            continue
instrument_app(app, runtime, trust="internal")
asyncio.run(call(app, "/stored", [(b"x-request-id", b"request-0001")]))
spans = [[span.name, dict(span.attributes)] for span in exporter.get_finished_spans()]
traces = {span.context.trace_id for span in exporter.get_finished_spans()}
print(json.dumps([outcomes, spans, len(traces), instrument_libraries(runtime)["redis"]]))
"""


def test_what_is_installed_makes_spans_with_our_attributes() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    outcomes, spans, traces, again = json.loads(finished.stdout)
    assert (outcomes["redis"], outcomes["requests"], again) == ("instrumented", "instrumented", "instrumented already")
    assert not set(outcomes) & {"celery", "fastapi", "httpx"}
    if outcomes["sqlalchemy"] != "instrumented":  # their package does not know the newest SQLAlchemy
        assert "DependencyConflict" in outcomes["sqlalchemy"]
        assert "sqlalchemy has no spans: DependencyConflict" in finished.stderr
    assert [name for name, _ in spans] == ["GET", "GET", "GET /stored"]
    assert {(found["request.id"], found["tenant.id"]) for _, found in spans} == {("request-0001", "acme")}
    assert traces == 1
    assert any("db.system.name" in found or "db.system" in found for _, found in spans)


def application(seen: Any) -> FastAPI:
    app = FastAPI()
    tracer = seen.runtime.provider.get_tracer("application")

    @app.get("/{what}")
    async def handle(what: str) -> None:
        with tracer.start_as_current_span("inside"):
            pass
        if what == "broken":
            raise ValueError("broken")

    instrument_app(app, seen.runtime, trust="internal")
    return app


@pytest.mark.anyio
async def test_a_failed_request_keeps_its_spans_although_it_was_not_sampled(observed: Configure) -> None:
    seen = observed(sample_ratio=0.0, keep_errors=True)
    app = application(seen)
    await call(app, "/good")
    assert seen.spans == []
    response = await call(app, "/broken", [(b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-00")])
    assert [span.name for span in seen.spans] == ["inside", "GET /{what}"]
    inside, request = seen.spans
    assert request.context is not None
    assert inside.parent is not None
    assert inside.parent.span_id == request.context.span_id
    assert request.context.trace_flags.sampled
    assert (request.attributes or {})["request.id"] == response.request_id
    assert [event.name for event in request.events] == ["exception"]


@pytest.mark.anyio
async def test_a_sampled_request_is_exported_once(observed: Configure) -> None:
    seen = observed(sample_ratio=1.0, keep_errors=True)
    await call(application(seen), "/broken")
    assert [span.name for span in seen.spans] == ["inside", "GET /{what}"]


def test_a_failed_message_keeps_what_began_in_it_and_ended_later(observed: Configure) -> None:
    seen = observed(sample_ratio=0.0, keep_errors=True)
    tracer = seen.runtime.provider.get_tracer("application")
    late = []
    for number in ("7", "seven"):
        with suppress(ValueError), consume(Incoming("kafka"), name=number, runtime=seen.runtime):
            late.append(tracer.start_span(f"late of {number}"))
            int(number)
    for span in late:
        span.end()
    assert [span.name for span in seen.spans] == ["seven", "late of seven"]


def test_what_is_kept_is_bounded(observed: Configure) -> None:
    seen = observed(sample_ratio=0.0, keep_errors=True)
    tracer = seen.runtime.provider.get_tracer("application")
    with tracer.start_as_current_span("root") as root:
        for _ in range(MOST_SPANS + 10):
            tracer.start_span("inside").end()
        root.set_status(StatusCode.ERROR)
    assert len(seen.spans) == MOST_SPANS


def test_it_needs_a_provider_of_ours() -> None:
    with pytest.raises(ValueError, match="keep_errors needs"):
        configure("web", provider=TracerProvider(), keep_errors=True, set_global=False)
