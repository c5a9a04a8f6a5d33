"""What the middleware does to a request, and what it never does."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator

from sloctl.instrumentation import ContextMiddleware, counters, current, guard, instrument_app
from sloctl.instrumentation.callers import Callers
from sloctl.instrumentation.exchange import Exchange
from sloctl.instrumentation.metrics import SEMCONV_BUCKETS, HttpMetrics
from sloctl.instrumentation.propagation import format_traceparent
from testing.asgi import call, scope
from tests.instrumentation.conftest import Configure, Observed, total

pytestmark = pytest.mark.anyio
MINTED = re.compile(r"[0-9a-f]{32}")
THEIRS = b"client-id-0001"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def application(observed: Observed, trust: Any = "edge", **settings: Any) -> FastAPI:  # noqa: C901 - a route a case
    app = FastAPI()

    @app.get("/ok")
    async def ok() -> dict[str, str]:
        context = current()
        assert context is not None
        return {"request_id": context.request_id}

    @app.get("/own-header")
    async def own_header() -> JSONResponse:
        return JSONResponse({}, headers={"X-Request-ID": "from-the-application", "x-other": "1"})

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("a secret of the application")

    @app.get("/refused")
    async def refused() -> None:
        raise HTTPException(503)

    @app.get("/background")
    async def background(tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(after_the_answer)
        return {}

    async def after_the_answer() -> None:
        app.state.answered = time.time()
        await asyncio.sleep(0.1)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(3):
                context = current()
                assert context is not None
                yield context.request_id.encode() + b"\n"

        return StreamingResponse(chunks())

    @app.get("/breaks-off")
    async def breaks_off() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the source is gone")

        return StreamingResponse(chunks())

    @app.get("/slow")
    async def slow() -> dict[str, str]:
        app.state.entered.set()
        await asyncio.Event().wait()
        return {}

    @app.websocket("/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("hello")
        await websocket.close()

    instrument_app(app, observed.runtime, trust=trust, **settings)
    return app


async def test_a_request_without_id_gets_one_that_is_also_its_trace_id(observed: Configure) -> None:
    seen = observed()
    response = await call(application(seen), "/ok")
    assert MINTED.fullmatch(response.request_id)
    assert response.body.decode() == f'{{"request_id":"{response.request_id}"}}'
    context = seen.span.get_span_context()
    assert context is not None
    assert f"{context.trace_id:032x}" == response.request_id


@pytest.mark.parametrize(("flags", "onwards"), [(b"03", "03"), (b"02", "02"), (b"ff", "03")])
async def test_blanks_round_a_traceparent_are_none_of_it_and_flags_that_are_known_go_on(
    observed: Configure, flags: bytes, onwards: str
) -> None:
    sent: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        sent.append(format_traceparent(trace.get_current_span().get_span_context()))
        await tiny(scope, receive, send)

    wrapped = ContextMiddleware(app, observed().runtime, trust="internal")
    await call(wrapped, "/", [(b"traceparent", b" " + TRACE[:-2] + flags + b"\t")])
    assert (sent[0][:35], sent[0][-2:]) == (TRACE[:35].decode(), onwards)


async def test_an_edge_keeps_the_clients_id_as_such_and_mints_its_own(observed: Configure) -> None:
    seen = observed()
    response = await call(application(seen), "/ok", [(b"x-request-id", THEIRS)])
    assert MINTED.fullmatch(response.request_id)
    assert seen.span.attributes is not None
    assert seen.span.attributes["client.request_id"] == "client-id-0001"
    assert seen.span.attributes["request.id"] == response.request_id


async def test_an_internal_caller_is_believed(observed: Configure) -> None:
    seen = observed()
    headers = [(b"x-request-id", THEIRS), (b"traceparent", TRACE), (b"x-tenant-id", b"acme")]
    response = await call(application(seen, "internal"), "/ok", headers)
    assert response.request_id == "client-id-0001"
    assert seen.span.parent is not None
    assert f"{seen.span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert seen.span.attributes is not None
    assert seen.span.attributes["tenant.id"] == "acme"


async def test_the_allowed_baggage_of_an_internal_caller_is_there_and_an_edge_has_none(observed: Configure) -> None:
    seen: list[dict[str, str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        context = current()
        assert context is not None
        seen.append(dict(context.baggage))
        await tiny(scope, receive, send)

    runtime = observed(baggage=["plan", "region"]).runtime
    headers = [(b"baggage", b"plan=gold, secret=x"), (b"baggage", b"region=%0d%0aSet-Cookie:x")]
    await call(ContextMiddleware(app, runtime, trust="internal"), "/", headers)
    await call(ContextMiddleware(app, runtime, trust="edge"), "/", headers)
    assert seen == [{"plan": "gold"}, {}]


async def test_an_edge_restarts_the_trace_with_a_link_and_ignores_the_sampled_flag(observed: Configure) -> None:
    seen = observed(sample_ratio=0.0)
    await call(application(seen), "/ok", [(b"traceparent", TRACE), (b"x-tenant-id", b"acme")])
    assert seen.spans == []

    seen = observed()
    await call(application(seen), "/ok", [(b"traceparent", TRACE), (b"x-tenant-id", b"acme")])
    assert seen.span.parent is None
    assert [f"{link.context.trace_id:032x}" for link in seen.span.links] == ["0af7651916cd43dd8448eb211c80319c"]
    assert seen.span.attributes is not None
    assert "tenant.id" not in seen.span.attributes


@pytest.mark.parametrize(("flag", "spans"), [(b"01", 1), (b"00", 0)])
async def test_a_trusted_callers_decision_to_sample_is_kept(observed: Configure, flag: bytes, spans: int) -> None:
    seen = observed(sample_ratio=0.5)
    for _ in range(20):
        await call(application_once(seen), "/ok", [(b"traceparent", TRACE[:-2] + flag)])
    assert len(seen.spans) == 20 * spans


def application_once(seen: Observed) -> Any:
    """The middleware around a tiny application."""
    return ContextMiddleware(tiny, seen.runtime, trust="internal")


async def tiny(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_the_share_of_recorded_requests_is_the_ratio(observed: Configure) -> None:
    seen = observed(sample_ratio=0.2)
    app = application_once(seen)
    responses = [await call(app, "/") for _ in range(2000)]
    assert 300 < len(seen.spans) < 500
    contexts = [span.get_span_context() for span in seen.spans]
    assert {f"{context.trace_id:032x}" for context in contexts if context} <= {r.request_id for r in responses}


async def test_trust_may_be_a_function_of_the_scope(observed: Configure) -> None:
    app = application(observed(), lambda scope: scope["client"][0].startswith("10."))
    inside = await call(app, "/ok", [(b"x-request-id", THEIRS)], client=("10.1.2.3", 1))
    outside = await call(app, "/ok", [(b"x-request-id", THEIRS)], client=("192.0.2.1", 1))
    assert inside.request_id == "client-id-0001"
    assert MINTED.fullmatch(outside.request_id)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"x-correlation-id", b"from-correlation")], "from-correlation"),
        ([(b"x-correlation-id", b"from-correlation"), (b"x-request-id", b"from-request")], "from-request"),
        ([(b"x-request-id", b"bad id"), (b"x-request-id", b"good-one-1")], "good-one-1"),
        ([(b"x-request-id", b"short")], None),
        ([(b"x-request-id", b"a" * 129)], None),
        ([(b"x-request-id", b"with\nnewline")], None),
        ([(b"x-request-id", "ünïcode-id".encode())], None),
        ([(b"traceparent", TRACE)], "0af7651916cd43dd8448eb211c80319c"),
    ],
)
async def test_where_an_internal_id_comes_from(
    observed: Configure, headers: list[tuple[bytes, bytes]], expected: str | None
) -> None:
    response = await call(application(observed(), "internal"), "/ok", headers)
    if expected is None:
        assert MINTED.fullmatch(response.request_id)
    else:
        assert response.request_id == expected


async def test_the_response_header_is_replaced_and_others_stay(observed: Configure) -> None:
    response = await call(application(observed()), "/own-header")
    assert MINTED.fullmatch(response.request_id)
    assert response.header("x-other") == ["1"]


async def test_a_response_object_that_is_sent_twice_is_not_changed(observed: Configure) -> None:
    seen = observed()
    once = JSONResponse({})
    app = ContextMiddleware(once, seen.runtime, trust="edge")
    first, second = await call(app, "/"), await call(app, "/")
    assert first.request_id != second.request_id
    assert b"x-request-id" not in dict(once.raw_headers)


async def test_an_unhandled_exception_has_the_id_and_is_on_the_span(observed: Configure) -> None:
    seen = observed()
    response = await call(application(seen), "/broken")
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert isinstance(response.error, ValueError)
    assert MINTED.fullmatch(response.request_id)
    assert seen.requests("/broken", 500) == 1
    assert seen.span.status.status_code is StatusCode.ERROR
    assert [event.name for event in seen.span.events] == ["exception"]
    assert seen.span.attributes is not None
    assert seen.span.attributes["error.type"] == "500"


async def test_a_refusal_is_an_error_of_ours_without_an_exception(observed: Configure) -> None:
    seen = observed()
    assert (await call(application(seen), "/refused")).status == 503
    assert seen.requests("/refused", 503) == 1
    assert seen.span.events == ()
    assert seen.span.status.status_code is StatusCode.ERROR


async def test_background_tasks_do_not_count_as_latency(observed: Configure) -> None:
    seen = observed()
    app, began = application(seen), time.time()
    await call(app, "/background")
    before = app.state.answered - began
    duration = seen.value(
        "http_server_request_duration_seconds_sum",
        http_request_method="GET",
        http_route="/background",
        http_response_status_code="200",
    )
    assert duration is not None
    assert duration < before + 0.05
    assert seen.span.end_time is not None
    assert seen.span.start_time is not None
    assert (seen.span.end_time - seen.span.start_time) / 1e9 < before + 0.05


async def test_a_stream_keeps_the_context_to_its_last_chunk(observed: Configure) -> None:
    response = await call(application(observed()), "/stream")
    assert response.body.decode().split() == [response.request_id] * 3


async def test_a_stream_that_breaks_off_is_a_failure_although_200_was_sent(observed: Configure) -> None:
    seen = observed()
    response = await call(application(seen), "/breaks-off")
    assert (response.status, response.body) == (200, b"half")
    assert "the source is gone" in repr(response.error)  # older Starlettes wrap it in a group
    assert seen.requests("/breaks-off", 500) == 1
    assert seen.span.status.status_code is StatusCode.ERROR


async def test_a_cancelled_request_is_the_clients_and_leaves_no_context(observed: Configure) -> None:
    seen = observed()
    app = application(seen)
    app.state.entered = asyncio.Event()
    task = asyncio.create_task(call(app, "/slow"))
    await app.state.entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen.requests("/slow", 499) == 1
    assert current() is None


async def test_a_client_that_leaves_while_we_work_is_499(observed: Configure) -> None:
    seen = observed()

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"

    metrics = HttpMetrics(seen.runtime.registry, SEMCONV_BUCKETS)
    await call(ContextMiddleware(waits, seen.runtime, trust="edge", metrics=metrics), "/", leaves=True)
    assert seen.requests("_unmatched", 499) == 1


async def test_an_application_that_never_answers_is_a_failure(observed: Configure) -> None:
    seen = observed()

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        pass

    metrics = HttpMetrics(seen.runtime.registry, SEMCONV_BUCKETS)
    await call(ContextMiddleware(silent, seen.runtime, trust="edge", metrics=metrics), "/")
    assert seen.requests("_unmatched", 500) == 1


async def test_websockets_and_lifespan_pass_through(observed: Configure) -> None:
    app = application(observed())
    sent: list[Any] = []
    messages = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    await app({**scope("/socket"), "type": "websocket", "scheme": "ws", "subprotocols": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[1]["text"] == "hello"

    sent.clear()
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_the_context_before_is_back_after_a_request(observed: Configure) -> None:
    span_before = trace.get_current_span()
    await call(application(observed()), "/ok")
    assert current() is None
    assert trace.get_current_span() is span_before


async def test_a_tenant_set_in_a_synchronous_dependency_is_kept(observed: Configure) -> None:
    seen = observed()
    app = FastAPI()

    def authenticated() -> None:  # runs in a thread, in a copy of the context
        context = current()
        assert context is not None
        context.set_tenant("acme")

    @app.get("/who", dependencies=[Depends(authenticated)])
    def who() -> dict[str, str | None]:
        context = current()
        assert context is not None
        return {"tenant": context.tenant_id}

    instrument_app(app, seen.runtime, trust="edge", tenants=["acme"])
    response = await call(app, "/who")
    assert response.body == b'{"tenant":"acme"}'
    assert seen.span.attributes is not None
    assert seen.span.attributes["tenant.id"] == "acme"
    assert seen.value("tenant_requests_total", tenant="acme", http_route="/who", http_response_status_code="200") == 1


async def test_every_span_has_the_six_attributes(observed: Configure) -> None:
    seen = observed()
    app = FastAPI()

    @app.get("/work")
    async def work() -> None:
        context = current()
        assert context is not None
        context.set_tenant("acme")
        with seen.runtime.provider.get_tracer("application").start_as_current_span("inside"):
            pass

    instrument_app(app, seen.runtime, trust="edge")
    response = await call(app, "/work")
    assert len(seen.spans) == 2
    for span in seen.spans:
        assert {**span.resource.attributes, **(span.attributes or {})}.items() >= {
            "service.name": "tracking-api",
            "k8s.pod.name": "tracking-api-0",
            "k8s.cluster.name": "here",
            "deployment.environment.name": "test",
            "tenant.id": "acme",
            "request.id": response.request_id,
        }.items()


@pytest.mark.breaks_a_step
async def test_a_failing_step_of_ours_changes_nothing_and_is_said_once(
    observed: Configure, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen = observed()
    app = application(seen)
    secret = b"never-in-a-log-42"

    def broken(*_: object) -> None:
        raise RuntimeError(secret.decode())

    monkeypatch.setattr(guard, "_last_logged", {})
    monkeypatch.setattr(Callers, "of", broken)
    before = total(counters.FAILURES)
    with caplog.at_level(logging.WARNING):
        responses = [await call(app, "/own-header", [(b"x-request-id", secret)]) for _ in range(3)]
    assert [response.status for response in responses] == [200, 200, 200]
    assert responses[0].header("x-request-id") == ["from-the-application"]
    assert total(counters.FAILURES) - before == 3
    assert len(caplog.records) == 1
    assert secret.decode() not in caplog.text


@pytest.mark.breaks_a_step
@pytest.mark.parametrize("step", ["_record", "_end_span", "_write_entry"])
async def test_no_step_that_fails_reaches_the_client(
    observed: Configure, monkeypatch: pytest.MonkeyPatch, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    app = application(observed())
    monkeypatch.setattr(Exchange, step, broken)
    response = await call(app, "/ok")
    assert (response.status, response.error) == (200, None)
    assert current() is None


@pytest.mark.breaks_a_step
async def test_a_malformed_response_goes_to_the_server_as_it_is(observed: Configure) -> None:
    async def odd(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": None})
        await send({"type": "http.response.body", "body": b"as it is"})

    response = await call(ContextMiddleware(odd, observed().runtime, trust="edge"), "/")
    assert response.messages[0] == {"type": "http.response.start", "status": 200, "headers": None}
    assert response.body == b"as it is"


async def test_an_unknown_method_is_other(observed: Configure) -> None:
    seen = observed()
    await call(application(seen), "/ok", method="BREW")
    assert seen.counted() == {("_OTHER", "/ok", "405"): 1}


def test_double_instrumentation_is_refused(observed: Configure) -> None:
    seen = observed()
    app = application(seen)
    with pytest.raises(ValueError, match="instrumented already"):
        instrument_app(app, seen.runtime, trust="edge")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trust": "everyone"}, "trust is"),
        ({"trust": "edge", "mode": "both"}, "mode is"),
        ({"trust": "edge", "id_headers": []}, "at least one"),
        ({"trust": "edge", "slo": "no-such-file.yaml"}, "no such file"),
    ],
)
def test_wrong_arguments_are_errors_at_once(observed: Configure, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        instrument_app(FastAPI(), observed().runtime, **arguments)


def test_only_asgi_applications_that_build_a_stack_are_instrumented(observed: Configure) -> None:
    with pytest.raises(TypeError, match="ContextMiddleware"):
        instrument_app(tiny, observed().runtime, trust="edge")


@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_the_packages_that_it_replaces_may_stay_for_a_while(
    observed: Configure, caplog: pytest.LogCaptureFixture, first: str
) -> None:
    """Dashboards need their names until they are moved; both orders start, and the ID is one."""
    there, app = observed(), FastAPI()
    app.get("/ok")(lambda: None)
    theirs = CollectorRegistry()

    def stack() -> None:
        Instrumentator(registry=theirs).instrument(app)
        app.add_middleware(CorrelationIdMiddleware, validator=None)

    for step in (stack, lambda: instrument_app(app, there.runtime, trust="edge"))[:: 1 if first == "theirs" else -1]:
        step()
    response = await call(app, "/ok")
    assert response.header("x-request-id") == [(there.span.attributes or {})["request.id"]]
    assert there.requests("/ok", 200) == 1
    assert theirs.get_sample_value("http_requests_total", {"handler": "/ok", "method": "GET", "status": "2xx"}) == 1
    said = [record.getMessage().split()[0] for record in caplog.records if "remove it" in record.getMessage()]
    wanted = ["CorrelationIdMiddleware", "PrometheusInstrumentatorMiddleware"] if first == "theirs" else []
    assert said == wanted
