"""The metrics: what the rules read, bounded, with exemplars that open the trace."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.responses import PlainTextResponse

from sloctl.instrumentation import configure, current, guard, instrument_app
from sloctl.instrumentation.buckets import thresholds
from sloctl.instrumentation.metrics import SEMCONV_BUCKETS, HttpMetrics, TenantLabels, with_edges
from testing.asgi import call
from testing.servers import ROOT
from tests.instrumentation.conftest import Configure, Observed

pytestmark = pytest.mark.anyio
OPEN_METRICS = (b"accept", b"application/openmetrics-text; version=1.0.0")
SPEC = """
apiVersion: sloctl/v1
kind: Service
service: web
runbook: https://example.com
team: web
slos:
  - name: fast
    objective: 99%
    sli: {latency: {histogram: 'http_server_request_duration_seconds{job="web"}', at_most: 320ms}}
  - name: other
    objective: 99%
    sli: {latency: {histogram: other_duration_seconds, at_most: 123ms}}
"""


def application(seen: Observed, **settings: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/of/{tenant}")
    async def of(tenant: str) -> None:
        context = current()
        assert context is not None
        context.set_tenant(tenant)

    instrument_app(app, seen.runtime, trust="edge", **settings)
    return app


async def test_metrics_are_served_as_the_client_asks(observed: Configure) -> None:
    app = application(observed())
    await call(app, "/of/acme")
    plain = await call(app, "/metrics")
    assert plain.header("content-type")[0].startswith("text/plain")
    assert b'http_server_request_duration_seconds_bucket{error_type="",http_request_method="GET"' in plain.body
    modern = await call(app, "/metrics", [OPEN_METRICS])
    assert modern.header("content-type")[0].startswith("application/openmetrics-text")
    assert b"# EOF" in modern.body
    assert b"/metrics" not in plain.body


async def test_an_exemplar_is_the_trace_of_a_recorded_request(observed: Configure) -> None:
    seen = observed()
    app = application(seen)
    response = await call(app, "/of/acme")
    exemplars = await exemplars_of(app)
    assert exemplars == [{"trace_id": response.request_id}]


async def test_a_request_that_is_not_recorded_has_no_exemplar(observed: Configure) -> None:
    app = application(observed(sample_ratio=0.0))
    await call(app, "/of/acme")
    assert await exemplars_of(app) == []


async def exemplars_of(app: FastAPI) -> list[dict[str, str]]:
    text = (await call(app, "/metrics", [OPEN_METRICS])).body.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return [sample.exemplar.labels for sample in samples if sample.exemplar is not None]


async def test_an_own_metrics_route_of_the_application_stays(observed: Configure) -> None:
    seen = observed()
    app = FastAPI()

    @app.get("/metrics")
    async def own() -> PlainTextResponse:
        return PlainTextResponse("the application's own")

    instrument_app(app, seen.runtime, trust="edge")
    assert (await call(app, "/metrics")).body == b"the application's own"
    assert seen.requests("/metrics", 200) == 1


async def test_metrics_may_be_served_nowhere(observed: Configure) -> None:
    assert (await call(application(observed(), metrics_path=None), "/metrics")).status == 404


async def test_tenants_of_a_closed_list_and_all_others(observed: Configure) -> None:
    seen = observed()
    app = application(seen, tenants=["acme", "globex"])
    for tenant in ("acme", "acme", "globex", "initech"):
        await call(app, f"/of/{tenant}")
    await call(app, "/of/not valid")
    counted = {
        tenant: seen.value(
            "tenant_requests_total", tenant=tenant, http_route="/of/{tenant}", http_response_status_code="200"
        )
        for tenant in ("acme", "globex", "initech", "_other", "_none")
    }
    assert counted == {"acme": 2, "globex": 1, "initech": None, "_other": 1, "_none": 1}


def test_ten_thousand_tenants_make_as_many_labels_as_the_cap() -> None:
    labels = TenantLabels(50)
    found = {labels.label(f"tenant-{number}") for number in range(10_000)}
    assert len(found) == 51
    assert "_other" in found
    assert labels.label("tenant-7") == "tenant-7"


async def test_without_tenants_there_is_no_such_metric(observed: Configure) -> None:
    app = application(observed())
    await call(app, "/of/acme")
    assert b"tenant_requests" not in (await call(app, "/metrics")).body


def test_thresholds_of_the_specification_become_edges(tmp_path: Path) -> None:
    spec = tmp_path / "web.yaml"
    spec.write_text(SPEC)
    assert thresholds(spec) == (0.32,)
    assert with_edges(thresholds(spec)) == tuple(sorted({*SEMCONV_BUCKETS, 0.32}))


def test_thresholds_from_a_template_and_of_this_repository_count_too() -> None:
    assert thresholds(ROOT / "slo-specs/routemesh/gateway.yaml") == (0.5,)
    assert thresholds(ROOT / "slo-specs/routemesh/tracking-api.yaml") == (2.0,)


def test_a_wrong_specification_is_named_with_its_place(tmp_path: Path) -> None:
    spec = tmp_path / "web.yaml"
    spec.write_text(SPEC.replace("320ms", "fast"))
    with pytest.raises(ValueError, match=rf"{spec}:10:"):
        thresholds(spec)


async def test_an_edge_counts_what_took_exactly_as_long(observed: Configure, tmp_path: Path) -> None:
    spec = tmp_path / "web.yaml"
    spec.write_text(SPEC)
    seen = observed()
    application(seen, slo=spec)
    metrics = seen.runtime.http_metrics
    assert metrics is not None
    metrics.observe("GET", "/", 200, 0.32, None)
    labels = {"http_request_method": "GET", "http_route": "/", "http_response_status_code": "200"}
    assert seen.value("http_server_request_duration_seconds_bucket", le="0.32", **labels) == 1
    assert seen.value("http_server_request_duration_seconds_bucket", le="0.25", **labels) == 0


def test_two_applications_of_a_process_share_metrics_or_say_why_not(observed: Configure) -> None:
    seen = observed()
    application(seen)
    application(seen)
    with pytest.raises(ValueError, match="other buckets or tenants"):
        application(seen, buckets=[1, 2])
    with pytest.raises(ValueError, match="other buckets or tenants"):
        application(seen, tenants=["acme"])


def test_an_unknown_method_is_no_new_label() -> None:
    registry = CollectorRegistry()
    metrics = HttpMetrics(registry, SEMCONV_BUCKETS)
    for number in range(100):
        metrics.observe(f"METHOD{number}", "/", 200, 0.1, None)
    counts = [s for metric in registry.collect() for s in metric.samples if s.name.endswith("_count")]
    assert [(s.labels["http_request_method"], s.value) for s in counts] == [("_OTHER", 100)]


MULTIPROCESS = """
import asyncio
from fastapi import FastAPI
from sloctl.instrumentation import configure, instrument_app
from testing.asgi import call
app = FastAPI()
app.get("/ok")(lambda: None)
instrument_app(app, configure("web", set_global=False), trust="edge")
asyncio.run(call(app, "/ok"))
print(asyncio.run(call(app, "/metrics", [(b"accept", b"application/openmetrics-text")])).body.decode())
"""


def test_in_multiprocess_mode_all_processes_are_summed_up_without_exemplars(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    outputs = [
        subprocess.run(
            [sys.executable, "-c", MULTIPROCESS], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        for _ in range(2)
    ]
    assert [finished.returncode for finished in outputs] == [0, 0], outputs[0].stderr
    counts = [line for line in outputs[1].stdout.splitlines() if line.startswith("http_server") and "_count" in line]
    assert [(line.split("{")[0], line.split()[-1]) for line in counts] == [
        ("http_server_request_duration_seconds_count", "2.0")
    ]
    assert "trace_id" not in outputs[1].stdout


def test_counters_of_our_own_are_where_the_metrics_are() -> None:
    registries = [CollectorRegistry() for _ in range(2)]
    for registry in (*registries, registries[0]):  # an application factory may configure one twice
        configure("web", "test", registry=registry, set_global=False)
    guard.rejected("tracestate")
    name, labels = "sloctl_instrumentation_rejected_total", {"input": "tracestate"}
    found = {registry.get_sample_value(name, labels) for registry in registries}
    assert len(found) == 1
    assert found != {None}
    nobody = CollectorRegistry().get_sample_value(name, labels)
    assert nobody is None


def test_the_default_registry_has_none_of_them_unless_it_was_configured() -> None:
    program = """
from prometheus_client import REGISTRY, CollectorRegistry
from sloctl.instrumentation import carriers, configure
configure("web", "test", registry=(own := CollectorRegistry()))
carriers.kafka.extract([])
for registry in (REGISTRY, own):
    print(sorted(metric.name for metric in registry.collect() if metric.name.startswith("sloctl_")))
"""
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    ours = ["sloctl_carrier_messages", "sloctl_instrumentation_failures", "sloctl_instrumentation_rejected"]
    assert finished.stdout == f"[]\n{ours}\n", finished.stderr
