"""Beside OpenTelemetry's own: its agent, its variables, its propagators, the consumers that it instruments.

Most of it is global state of a process, so most cases run in one of their own.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import context as otel_context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from sloctl.instrumentation import RequestContext, RequestIdPropagator, current, environment
from sloctl.instrumentation.context import entered
from testing.servers import ROOT
from tests.instrumentation.conftest import Collector, Configure

OVER_HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
AGENT = Path(sys.executable).with_name("opentelemetry-instrument")


def output(program: str, *before: str | Path, **environment_: str) -> str:
    """What a program prints; nothing may be said on standard error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment_}
    command = [*before, sys.executable, "-W", "ignore", "-c", program]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


INJECTED = """
import asyncio, logging, os, sys
{framework}
from prometheus_client import CollectorRegistry
from sloctl.instrumentation import configure, current, instrument_app
from testing.asgi import call
logging.disable(logging.CRITICAL)  # the exception of /broken
registry = CollectorRegistry()
runtime = configure("web", "test", registry=registry)
instrument_app(app, runtime, trust="edge", mode=os.environ["MODE"])
response = asyncio.run(call(app, "/items/7", [(b"x-request-id", b"client-id-0001")]))
scrape = asyncio.run(call(app, "/metrics"))
assert scrape.status == 200 and b'http_route="/items/{{item}}"' in scrape.body, scrape.body
broken = asyncio.run(call(app, "/broken"))
print("ID", response.request_id, response.json() == response.request_id, broken.status, len(broken.request_id))
runtime.provider.force_flush()
"""
AGENT_SETTINGS = {
    "OTEL_TRACES_EXPORTER": "console",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "sqlalchemy",  # it says that it does not know the newest version
}
FASTAPI = """
from fastapi import FastAPI
app = FastAPI()
@app.get("/items/{item}")
async def item(item: str): return current().request_id
@app.get("/broken")
async def broken(): raise ValueError("broken")
"""


@pytest.mark.parametrize("mode", ["fused", "otel"])
def test_an_application_that_the_agent_has_instrumented_is_taken_over(mode: str) -> None:
    printed = output(INJECTED.format(framework=FASTAPI), AGENT, MODE=mode, **AGENT_SETTINGS)
    seen = re.search(r"^ID (\S+) True 500 32$", printed, re.MULTILINE)
    assert seen is not None, printed
    spans = [span for span in objects(printed.replace(seen[0], "")) if span["kind"] == "SpanKind.SERVER"]
    assert [span["name"] for span in spans] == ["GET /items/{item}", "GET /broken"]
    assert spans[0]["attributes"]["request.id"] == seen[1]
    assert spans[0]["attributes"]["client.request_id"] == "client-id-0001"
    assert spans[0]["context"]["trace_id"] == f"0x{seen[1]}"
    assert spans[1]["status"]["status_code"] == "ERROR"


def objects(text: str) -> list[dict[str, dict[str, str]]]:
    """The JSON objects that follow one another in a text."""
    decoder, found, rest = json.JSONDecoder(), [], text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


@pytest.mark.server
@pytest.mark.parametrize("protocol", [OVER_HTTP, {"OTEL_TRACES_EXPORTER": "otlp_proto_http"}])
def test_spans_go_by_otlp_over_http(protocol: dict[str, str], collector: Collector) -> None:
    program = """
from sloctl.instrumentation import configure
runtime = configure("web", "test")
runtime.tracer.start_span("over-http").end()
runtime.shutdown()
"""
    output(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **protocol)
    assert any(b"over-http" in body for _, body in collector.received)


@pytest.mark.parametrize(
    ("variables", "made"),
    [
        ({}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, [Grpc]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, [Http]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1", **OVER_HTTP}, [Http]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, [Http]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, [Grpc]),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, []),
        ({"OTEL_TRACES_EXPORTER": "console, otlp_proto_http"}, [ConsoleSpanExporter, Http]),
    ],
)  # fmt: skip
def test_exporters_are_those_that_the_variables_name(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], made: list[type]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exporters = environment.exporters()
    assert [type(exporter) for exporter in exporters] == made
    for exporter in exporters:
        exporter.shutdown()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "no exporter zipkin is installed"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "none for the protocol"),
    ],
)
def test_an_exporter_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variables: dict[str, str], said: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert environment.exporters() == []
    assert said in caplog.text


@pytest.mark.parametrize(
    ("sampler", "argument", "ratio"),
    [
        ("", "", 1.0),
        ("parentbased_always_off", "", 0.0),
        ("parentbased_traceidratio", "0.25", 0.25),
        ("parentbased_traceidratio", "7", 1.0),
        ("traceidratio", "0.25", None),
        ("always_off", "", None),
    ],
)
def test_the_sampler_is_that_of_the_variables(
    monkeypatch: pytest.MonkeyPatch, observed: Configure, sampler: str, argument: str, ratio: float | None
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    assert environment.sample_ratio() == ratio
    if sampler == "always_off":
        seen = observed()
        seen.runtime.tracer.start_span("x").end()
        assert seen.spans == []


def test_the_process_keeps_its_propagators_and_its_baggage() -> None:
    program = """
from opentelemetry import baggage, propagate
from sloctl.instrumentation import configure
for _ in range(2):
    configure("web", "test")
carrier = {}
propagate.inject(carrier, baggage.set_baggage("plan", "gold"))
print(sorted(propagate.get_global_textmap().fields), carrier)
"""
    fields = "['baggage', 'traceparent', 'tracestate', 'x-request-id']"
    assert output(program) == f"{fields} {{'baggage': 'plan=gold'}}\n"
    assert "'x-b3-traceid'" in output(program, OTEL_PROPAGATORS="tracecontext,b3multi")


def test_a_provider_that_is_there_already_is_used_and_a_second_configure_is_quiet() -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sloctl.instrumentation import configure
theirs = TracerProvider()
trace.set_tracer_provider(theirs)
print([configure("web", "test").provider is theirs for _ in range(2)])
"""
    assert output(program) == "[True, True]\n"
    assert output("from sloctl.instrumentation import configure\nfor _ in range(2): configure('web')") == ""


def test_the_propagator_finds_the_id_where_others_consume(observed: Configure) -> None:
    seen = observed()
    context = RequestIdPropagator().extract({"x-request-id": "request-0001"})
    token = otel_context.attach(context)
    try:
        request = current()
        assert request is not None
        assert request.request_id == "request-0001"
        seen.runtime.tracer.start_span("consumed").end()
        carrier: dict[str, str] = {}
        RequestIdPropagator().inject(carrier)
        with entered(RequestContext("request-0002")):
            inside = current()
    finally:
        otel_context.detach(token)
    assert carrier == {"x-request-id": "request-0001"}
    assert seen.span.attributes is not None
    assert seen.span.attributes["request.id"] == "request-0001"
    assert inside is not None
    assert inside.request_id == "request-0002"
    assert current() is None


def test_an_id_that_is_none_is_not_extracted() -> None:
    assert RequestIdPropagator().extract({"x-request-id": "no\nid"}) == otel_context.get_current()


def test_a_celery_task_has_the_id_of_the_request_that_sent_it() -> None:
    program = """
import logging, sys
from celery import Celery
from celery.contrib.testing.worker import start_worker
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from sloctl.instrumentation import RequestContext, configure, current
from sloctl.instrumentation.context import entered
configure("worker", "test")
CeleryInstrumentor().instrument()
app = Celery("w", broker="memory://", backend="cache+memory://")
@app.task
def ship():
    return current().request_id
logging.disable(logging.CRITICAL)
with start_worker(app, perform_ping_check=False, pool="solo"):
    with entered(RequestContext("request-0001")):
        result = ship.delay()
    print(result.get(timeout=120))
"""
    assert output(program) == "request-0001\n"
