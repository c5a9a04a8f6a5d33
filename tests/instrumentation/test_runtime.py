"""What a process configures, and what it finds in its environment."""

import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from sloctl.instrumentation import RequestContext, configure
from sloctl.instrumentation.context import entered
from sloctl.instrumentation.hosts import HostPatterns
from testing.servers import ROOT

NATIVE = """
import asyncio
from fastapi import FastAPI
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sloctl.instrumentation import configure, instrument_app
from testing.asgi import call
exporter = InMemorySpanExporter()
app, sub = FastAPI(), FastAPI()
for application in (app, sub):
    application.get("/ok")(lambda: None)
app.mount("/sub", sub)
instrument_app(app, configure("web", processors=[SimpleSpanProcessor(exporter)]), trust="edge")
for path in ("/ok", "/sub/ok"):
    asyncio.run(call(app, path))
print([span.name for span in exporter.get_finished_spans()])
"""


def identity(**settings: Any) -> dict[str, str]:
    return configure(registry=CollectorRegistry(), set_global=False, **settings).identity


def test_who_it_is_comes_from_the_call_then_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES",
        "k8s.pod.name=web%2D7,k8s.cluster.name=eu-1,deployment.environment.name=staging,service.name=liar,odd",
    )
    assert identity(service="web") == {
        "service.name": "web",
        "k8s.pod.name": "web-7",
        "k8s.cluster.name": "eu-1",
        "deployment.environment.name": "staging",
    }
    assert identity(service="web", environment="production", cluster="c", pod="p") == {
        "service.name": "web",
        "k8s.pod.name": "p",
        "k8s.cluster.name": "c",
        "deployment.environment.name": "production",
    }


def test_the_downward_api_and_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)
    monkeypatch.setenv("POD_NAME", "web-8")
    found = identity(service="web")
    assert (found["k8s.pod.name"], found["k8s.cluster.name"]) == ("web-8", "unknown")


def test_spans_of_a_foreign_provider_have_the_six_attributes_too() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "theirs"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    configure("web", "test", cluster="c", pod="p", provider=provider, registry=CollectorRegistry(), set_global=False)
    with entered(RequestContext("request-0001", tenant_id="acme")):
        provider.get_tracer("t").start_span("s").end()
    (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == "theirs"
    assert dict(span.attributes or {}) == {
        "k8s.pod.name": "p",
        "k8s.cluster.name": "c",
        "deployment.environment.name": "test",
        "request.id": "request-0001",
        "tenant.id": "acme",
    }


def test_the_telemetry_of_fastapi_itself_makes_no_second_span() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NATIVE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.stdout == "['GET /ok', 'GET /sub/ok']\n", finished.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"service": ""}, "needs the name"), ({"service": "web", "sample_ratio": 1.5}, "between 0 and 1")],
)
def test_wrong_settings_are_errors(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        configure(**settings)


def test_hosts_that_are_ours() -> None:
    ours = HostPatterns(["orders", "*.svc.cluster.local"])
    assert [
        host in ours for host in ("orders", "ORDERS", "a.svc.cluster.local", "orders.example", "svc.cluster.local")
    ] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert "orders" not in HostPatterns([])
