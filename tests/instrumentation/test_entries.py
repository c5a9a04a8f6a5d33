"""One line a request or message says what it was, who asked and how it ended, whether it is recorded or not."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException

from sloctl.instrumentation import JsonFormatter, carriers, consume, current, instrument_app
from sloctl.instrumentation.carriers import Incoming
from testing.asgi import call
from tests.instrumentation.conftest import Configure, Observed

pytestmark = pytest.mark.anyio
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-00"


class Entries(logging.Handler):
    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    @property
    def line(self) -> dict[str, Any]:
        """The only one, without what all lines of the service have."""
        (found,) = self.lines
        assert 0 <= found.pop("duration") < 5
        assert len(found.pop("span_id")) == 16
        return {
            name: value
            for name, value in found.items()
            if name not in ("timestamp", "service.name", "k8s.pod.name", "k8s.cluster.name")
            and name != "deployment.environment.name"
        }


@pytest.fixture(params=[0.0, 1.0], ids=["not recorded", "recorded"])
def seen(request: pytest.FixtureRequest, observed: Configure) -> Observed:
    return observed(sample_ratio=request.param)


@pytest.fixture
def entries(seen: Observed) -> Iterator[Entries]:
    handler = Entries(JsonFormatter(seen.runtime))
    logger = logging.getLogger("sloctl.entry")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def application(seen: Observed, trust: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/orders/{number}")
    async def order(number: str) -> None:
        request = current()
        assert request is not None
        request.set_tenant("acme")
        if number == "bad":
            raise ValueError("boom")
        if number == "later":
            raise HTTPException(503)

    instrument_app(app, seen.runtime, trust=trust)
    return app


async def test_the_line_of_a_request_from_inside(seen: Observed, entries: Entries) -> None:
    headers = [(b"x-request-id", b"request-0001"), (b"traceparent", PARENT.encode())]
    await call(application(seen, "internal"), "/orders/1", headers)
    assert entries.line == {
        "severity": "INFO",
        "message": "GET /orders/{number} 200",
        "logger": "sloctl.entry",
        "event.name": "http.server.request",
        "request.id": "request-0001",
        "tenant.id": "acme",
        "trace_id": TRACE,
        "parent_span_id": SPAN,
        "transport": "http",
        "span.name": "GET /orders/{number}",
        "http.request.method": "GET",
        "http.route": "/orders/{number}",
        "url.path": "/orders/1",
        "http.response.status_code": 200,
    }


async def test_the_line_of_a_failure_has_the_exception(seen: Observed, entries: Entries) -> None:
    await call(application(seen, "internal"), "/orders/bad", [(b"x-request-id", b"request-0001")])
    line = entries.line
    assert "raise ValueError" in line["exception.stacktrace"]
    assert (line["severity"], line["error.type"]) == ("ERROR", "500")
    assert (line["exception.type"], line["exception.message"]) == ("ValueError", "boom")


async def test_a_failure_without_exception_and_what_nobody_routes(seen: Observed, entries: Entries) -> None:
    app = application(seen, "internal")
    await call(app, "/orders/later")
    await call(app, "/nothing")
    refused, unmatched = entries.lines
    assert (refused["severity"], refused["error.type"], "exception.type" in refused) == ("ERROR", "503", False)
    assert (unmatched["severity"], unmatched["message"], "http.route" in unmatched) == ("INFO", "GET 404", False)


async def test_the_line_at_an_edge_has_the_client_s_id_and_a_link(seen: Observed, entries: Entries) -> None:
    headers = [(b"x-request-id", b"client-id-0001"), (b"traceparent", PARENT.encode())]
    response = await call(application(seen, "edge"), "/orders/1", headers)
    line = entries.line
    assert (line["request.id"], line["client.request_id"]) == (response.request_id, "client-id-0001")
    assert line["links"] == [{"trace_id": TRACE, "span_id": SPAN}]
    assert "parent_span_id" not in line


def message(**more: Any) -> Incoming:
    return Incoming("kafka", {"x-request-id": "request-0001", "traceparent": PARENT}, **more)


def test_the_line_of_a_message(seen: Observed, entries: Entries) -> None:
    with consume(message(), name="ship order", runtime=seen.runtime):
        pass
    line = entries.line
    assert (
        line.items()
        >= {
            "severity": "INFO",
            "message": "ship order ok",
            "event.name": "messaging.process",
            "request.id": "request-0001",
            "trace_id": TRACE,
            "parent_span_id": SPAN,
            "transport": "kafka",
            "span.name": "ship order",
            "messaging.system": "kafka",
        }.items()
    )


def test_the_line_of_a_message_that_fails_and_of_one_in_a_batch(seen: Observed, entries: Entries) -> None:
    with pytest.raises(ValueError, match="boom"), consume(message(batch=True), name="ship", runtime=seen.runtime):
        raise ValueError("boom")
    line = entries.line
    assert (line["severity"], line["message"], line["error.type"]) == ("ERROR", "ship failed", "ValueError")
    assert line["links"] == [{"trace_id": TRACE, "span_id": SPAN}]
    assert "parent_span_id" not in line
    assert "raise ValueError" in line["exception.stacktrace"]


def test_a_span_that_is_open_inside_does_not_replace_the_message_s_own(seen: Observed, entries: Entries) -> None:
    tracer = seen.runtime.provider.get_tracer("t")
    with consume(carriers.mapping.extract({}), name="job", runtime=seen.runtime) as request:
        tracer.start_span("left open")
        assert request is current()
    (line,) = entries.lines
    assert line["request.id"] == line["trace_id"]
