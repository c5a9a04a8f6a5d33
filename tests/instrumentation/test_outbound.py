"""Calls with httpx: who gets the ID, the trace, the tenant and the baggage."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, use_span
from prometheus_client import CollectorRegistry

from sloctl.instrumentation import RequestContext, Runtime, configure, instrument_httpx
from sloctl.instrumentation.context import entered
from tests.instrumentation.conftest import Configure

pytestmark = pytest.mark.anyio
CONTEXT = RequestContext("request-0001", tenant_id="acme", baggage={"plan": "gold", "secret": "x"})
Seen = list[httpx.Request]


def client(answer: Callable[[httpx.Request], httpx.Response] | None = None) -> tuple[httpx.Client, Seen]:
    seen: Seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200) if answer is None else answer(request)

    return httpx.Client(transport=httpx.MockTransport(handle)), seen


def test_a_call_outside_of_a_request_is_left_alone(observed: Configure) -> None:
    http, seen = client()
    instrument_httpx(http, observed().runtime)
    http.get("http://orders/")
    assert not {"x-request-id", "traceparent", "x-tenant-id", "baggage"} & set(seen[0].headers)


def test_a_recorded_call_has_a_client_span_that_the_callee_continues(observed: Configure) -> None:
    there = observed(internal_hosts=["orders"], baggage=["plan"])
    http, seen = client()
    instrument_httpx(http, there.runtime)
    with there.runtime.tracer.start_as_current_span("work") as span, entered(CONTEXT):
        http.get("http://user:secret@orders:8080/list?x=1")
    call = next(span for span in there.spans if span.name == "GET")
    context = call.get_span_context()
    assert context is not None
    assert (
        seen[0].headers["traceparent"] == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    )
    assert call.parent is not None
    assert call.parent.span_id == span.get_span_context().span_id
    assert dict(call.attributes or {}) == {
        "http.request.method": "GET",
        "url.full": "http://orders:8080/list?x=1",
        "server.address": "orders",
        "server.port": 8080,
        "http.response.status_code": 200,
        "request.id": "request-0001",
        "tenant.id": "acme",
    }


def test_the_span_of_a_call_is_the_same_whether_the_sdk_or_we_make_it(observed: Configure) -> None:
    def spans_of(there: Runtime, exporter: InMemorySpanExporter) -> list[dict[str, Any]]:
        http, _ = client(lambda request: httpx.Response(503 if request.url.path == "/bad" else 200))
        instrument_httpx(http, there)
        with there.tracer.start_as_current_span("work"), entered(CONTEXT):
            http.get("http://orders/good")
            http.get("http://orders/bad")
        there.provider.force_flush()
        found = [json.loads(span.to_json()) for span in exporter.get_finished_spans()]
        work = next(finding["context"]["span_id"] for finding in found if finding["name"] == "work")
        assert [finding["parent_id"] for finding in found if finding["name"] == "GET"] == [work] * 2
        varying = ("context", "parent_id", "start_time", "end_time")
        return [{key: value for key, value in finding.items() if key not in varying} for finding in found]

    of_sdk, exporter = observed(), InMemorySpanExporter()
    ours = configure(
        "tracking-api", "test", cluster="here", pod="tracking-api-0", registry=CollectorRegistry(),
        exporters=[exporter], set_global=False,
    )  # fmt: skip
    assert (bool(of_sdk.runtime.finished), bool(ours.finished)) == (False, True)
    assert spans_of(ours, exporter) == spans_of(of_sdk.runtime, of_sdk.exporter)


def test_a_call_that_is_not_recorded_has_headers_and_no_span(observed: Configure) -> None:
    there = observed()
    http, seen = client()
    instrument_httpx(http, there.runtime)
    with use_span(NonRecordingSpan(SpanContext(1, 2, is_remote=False))), entered(CONTEXT):
        http.get("http://orders/")
    assert seen[0].headers["x-request-id"] == "request-0001"
    assert seen[0].headers["traceparent"] == f"00-{1:032x}-{2:016x}-00"
    assert there.spans == []


def test_tenant_and_baggage_go_to_own_hosts_only_also_over_a_redirect(observed: Configure) -> None:
    there = observed(internal_hosts=["*.internal"], baggage=["plan"])

    def redirect(request: httpx.Request) -> httpx.Response:
        ours = request.url.host == "orders.internal"
        return httpx.Response(302, headers={"location": "http://elsewhere.example/"}) if ours else httpx.Response(200)

    http, seen = client(redirect)
    instrument_httpx(http, there.runtime)
    with entered(CONTEXT):
        http.get("http://orders.internal/", follow_redirects=True)
    ours, theirs = seen
    assert (ours.headers["x-tenant-id"], ours.headers["baggage"]) == ("acme", "plan=gold")
    assert theirs.headers["x-request-id"] == "request-0001"
    assert not {"x-tenant-id", "baggage"} & set(theirs.headers)


def test_a_failed_call_is_on_its_span_and_the_error_goes_on(observed: Configure) -> None:
    there = observed()

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    http, _ = client(refuse)
    instrument_httpx(http, there.runtime)
    with there.runtime.tracer.start_as_current_span("work"), entered(CONTEXT), pytest.raises(httpx.ConnectError):
        http.get("http://orders/")
    call = next(span for span in there.spans if span.name == "GET")
    assert call.status.status_code is StatusCode.ERROR
    assert (call.attributes or {})["error.type"] == "ConnectError"


async def test_asynchronous_clients_too(observed: Configure) -> None:
    there = observed()
    seen: Seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(503)

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        instrument_httpx(http, there.runtime)
        with there.runtime.tracer.start_as_current_span("work"), entered(CONTEXT):
            assert (await http.get("http://orders/")).status_code == 503
    assert seen[0].headers["x-request-id"] == "request-0001"
    assert next(span for span in there.spans if span.name == "GET").status.status_code is StatusCode.ERROR


def test_what_is_no_client_and_what_is_instrumented_already_is_refused(observed: Configure) -> None:
    there = observed()
    wrong: Any = httpx
    with pytest.raises(TypeError, match=r"httpx\.Client"):
        instrument_httpx(wrong, there.runtime)
    http, _ = client()
    instrument_httpx(http, there.runtime)
    with pytest.raises(ValueError, match="instrumented already"):
        instrument_httpx(http, there.runtime)


@pytest.mark.breaks_a_step
def test_a_failing_step_of_ours_lets_the_call_go_out(observed: Configure) -> None:
    http, seen = client()
    instrument_httpx(http, observed().runtime)
    broken: Any = RequestContext(request_id=object())  # type: ignore[arg-type]
    with entered(broken):
        assert http.get("http://orders/").status_code == 200
    assert len(seen) == 1
    assert trace.get_current_span() is trace.INVALID_SPAN
