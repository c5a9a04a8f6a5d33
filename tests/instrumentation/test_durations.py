"""What messages, functions and failures behind a 200 leave in the metrics."""

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import StatusCode
from prometheus_client import CollectorRegistry

from sloctl.instrumentation import carriers, configure, consume, current, instrument_app
from sloctl.instrumentation.carriers import Incoming
from sloctl.instrumentation.durations import CALLS, IN_PROGRESS, MESSAGES, MOST
from sloctl.instrumentation.metrics import SEMCONV_BUCKETS
from sloctl.instrumentation.pushed import Printed, Sent
from testing.asgi import call
from testing.servers import ROOT
from tests.instrumentation.conftest import Configure

pytestmark = pytest.mark.anyio
COUNT = "messaging_process_duration_seconds_count"
FIELDS = {"x-request-id": "request-0001"}


def test_a_message_counts_with_its_destination_and_what_failed(observed: Configure) -> None:
    there = observed()
    for failing in (False, True, True):
        incoming = Incoming("sqs", FIELDS, destination="orders")
        with suppress(KeyError), consume(incoming, name="ship", runtime=there.runtime):
            {"weight": 1}["no weight" if failing else "weight"]
    labels = {"messaging_system": "aws_sqs", "messaging_destination_name": "orders"}
    assert there.value(COUNT, **labels, error_type="") == 1
    assert there.value(COUNT, **labels, error_type="KeyError") == 2


def test_a_destination_that_the_message_does_not_say_is_told(observed: Configure) -> None:
    there = observed()
    with consume(carriers.redis.extract({}), destination="events", runtime=there.runtime):
        pass
    assert there.span.name == "process events"
    assert (there.span.attributes or {})["messaging.destination.name"] == "events"
    assert there.value(COUNT, messaging_destination_name="events") == 1


def test_a_failure_that_nobody_raised_counts(observed: Configure) -> None:
    there = observed()
    with consume(Incoming("kafka", FIELDS), name="book", runtime=there.runtime) as context:
        context.fail("payment_declined")
    assert there.value(COUNT, error_type="payment_declined") == 1
    assert there.span.status.status_code is StatusCode.ERROR
    assert (there.span.attributes or {})["error.type"] == "payment_declined"


@pytest.mark.parametrize("reason", ["", "two words", "x" * 65, "line\nbreak", None, 7, "é"])
def test_a_reason_that_is_no_word_is_other(observed: Configure, reason: Any) -> None:
    there = observed()
    with consume(Incoming("kafka", FIELDS), name="book", runtime=there.runtime) as context:
        context.fail(reason)
    assert there.value(COUNT, error_type="_OTHER") == 1


async def test_a_failure_behind_a_200_counts(observed: Configure) -> None:
    """GraphQL and RPC answer errors with 200."""
    there, app = observed(), FastAPI()

    @app.post("/graphql")
    async def graphql(fail: bool = False) -> dict[str, Any]:
        request = current()
        assert request is not None
        if fail:
            request.fail("resolver")
        return {"data": None}

    instrument_app(app, there.runtime, trust="edge")
    await call(app, "/graphql", method="POST")
    await call(app, "/graphql", method="POST", query_string=b"fail=1")
    labels = {"http_route": "/graphql", "http_response_status_code": "200"}
    assert there.value("http_server_request_duration_seconds_count", **labels, error_type="") == 1
    assert there.value("http_server_request_duration_seconds_count", **labels, error_type="resolver") == 1
    good, bad = there.spans
    assert good.status.status_code is StatusCode.UNSET
    assert bad.status.status_code is StatusCode.ERROR


async def test_messages_in_progress(observed: Configure) -> None:
    there = observed()
    over = asyncio.Event()

    async def handle() -> None:
        with consume(Incoming("nats", FIELDS, destination="orders"), runtime=there.runtime):
            await over.wait()

    tasks = [asyncio.create_task(handle()) for _ in range(3)]
    await asyncio.sleep(0)
    labels = {"messaging_system": "nats", "messaging_destination_name": "orders"}
    assert there.value("messaging_process_active_messages", **labels) == 3
    tasks[0].cancel()
    await asyncio.sleep(0)
    assert there.value("messaging_process_active_messages", **labels) == 2
    over.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert there.value("messaging_process_active_messages", **labels) == 0
    assert there.value(COUNT, **labels, error_type="") == 2
    assert there.value(COUNT, **labels, error_type="CancelledError") == 1


def test_several_messages_at_once_link_to_each_sender(observed: Configure) -> None:
    there = observed()
    senders = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2, 3)]
    messages = [Incoming("kafka", {"traceparent": sender}, destination="orders") for sender in senders]
    with consume(messages, name="insert", runtime=there.runtime) as context:
        assert len(context.request_id) == 32
    assert [link.context.span_id for link in there.span.links] == [1, 2, 3]
    assert (there.span.attributes or {})["messaging.batch.message_count"] == 3
    with consume([Incoming("kafka", FIELDS)] * 2, name="insert", runtime=there.runtime) as context:
        assert context.request_id == "request-0001"
    with pytest.raises(ValueError, match="needs a message"), consume([], name="insert", runtime=there.runtime):
        pass


def test_labels_from_outside_are_bounded(observed: Configure) -> None:
    there = observed()
    for number in range(MOST + 50):
        with consume(Incoming("rabbitmq", FIELDS, destination=f"amq.gen-{number}"), runtime=there.runtime):
            pass
    assert there.value(COUNT, messaging_destination_name="_other") == 50
    assert there.value(COUNT) == MOST + 50


def test_two_runtimes_of_a_process_share_a_registry() -> None:
    registry = CollectorRegistry()
    for _ in range(2):
        runtime = configure("worker", "test", registry=registry, set_global=False)
        with consume(Incoming("kafka", FIELDS, destination="t"), runtime=runtime):
            pass
    labels = {"messaging_system": "kafka", "messaging_destination_name": "t", "error_type": ""}
    assert registry.get_sample_value(COUNT, labels) == 2


def test_many_values_are_several_lines_for_cloudwatch() -> None:
    durations = Printed("shop", {"service.name": "f"})
    for number in range(250):
        durations.observe(MESSAGES, {"messaging.system": "kafka"}, number)
    assert len(durations.lines()) == 3
    assert durations.lines() == []


def points(provider: InMemoryMetricReader) -> dict[str, list[Any]]:
    """The data points of each metric."""
    data: Any = provider.get_metrics_data()
    found = [
        metric for resource in data.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]
    return {metric.name: list(metric.data.data_points) for metric in found}


def test_durations_of_opentelemetry_have_its_names_units_and_types() -> None:
    reader = InMemoryMetricReader()
    durations = Sent(MeterProvider([reader]))
    over = durations.begun("kafka", "orders")
    durations.observe(CALLS, {"server.port": 443, "http.response.status_code": 503, "error.type": "503"}, 0.3)
    durations.observe(MESSAGES, {"messaging.system": "kafka", "ignored": 1}, 0.3)
    found = points(reader)
    (call,), (message,), (active,) = (found[name] for name in (CALLS.name, MESSAGES.name, IN_PROGRESS))
    assert dict(call.attributes) == {"server.port": 443, "http.response.status_code": 503, "error.type": "503"}
    assert dict(message.attributes) == {"messaging.system": "kafka"}
    assert (message.count, message.explicit_bounds) == (1, SEMCONV_BUCKETS)
    assert active.value == 1
    over()
    assert points(reader)[IN_PROGRESS][0].value == 0


def test_labels_that_are_sent_are_bounded_too() -> None:
    reader = InMemoryMetricReader()
    durations = Sent(MeterProvider([reader]))
    for number in range(MOST + 50):
        durations.observe(MESSAGES, {"messaging.destination.name": f"amq.gen-{number}"}, 0.1)
    counts = {point.attributes["messaging.destination.name"]: point.count for point in points(reader)[MESSAGES.name]}
    assert len(counts) == MOST + 1
    assert counts["_other"] == 50


def test_the_meter_provider_of_the_process_is_used() -> None:
    program = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from sloctl.instrumentation import configure, consume
from sloctl.instrumentation.carriers import Incoming
metrics.set_meter_provider(MeterProvider([reader := InMemoryMetricReader()]))
configure("worker", "test", otlp_metrics=True)
with consume(Incoming("kafka")):
    pass
(resource,) = reader.get_metrics_data().resource_metrics
print(*sorted(metric.name for scope in resource.scope_metrics for metric in scope.metrics))
"""
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.stdout == "messaging.process.active_messages messaging.process.duration\n", finished.stderr


SERVED = """
import asyncio
from fastapi import FastAPI
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry
from sloctl.instrumentation import configure, consume, instrument_app
from sloctl.instrumentation.carriers import Incoming
from testing.asgi import call
metrics.set_meter_provider(MeterProvider([reader := InMemoryMetricReader()]))
app = FastAPI()
@app.get("/items/{item}")
async def item(item: int): return item
runtime = configure("web", "test", registry=CollectorRegistry())
instrument_app(app, runtime, trust="edge", buckets=(0.25, 1.0), tenants=["acme"])
for path in ("/items/1", "/items/2", "/nowhere"):
    asyncio.run(call(app, path))
with consume(Incoming("kafka")):
    pass
(resource,) = reader.get_metrics_data().resource_metrics
for metric in sorted((metric for scope in resource.scope_metrics for metric in scope.metrics), key=lambda m: m.name):
    for point in metric.data.data_points:
        print(metric.name, dict(point.attributes), getattr(point, "count", None) or point.value)
        if metric.name == "http.server.request.duration":
            print(*point.explicit_bounds)
scraped = asyncio.run(call(app, "/metrics")).body
print(b"messaging_process_duration_seconds_count" in scraped, b'route="/items/{item}"' in scraped)
"""


def test_what_a_server_measures_is_sent_as_well_where_the_standard_variable_asks_for_it() -> None:
    environment = {**os.environ, "OTEL_METRICS_EXPORTER": "otlp"}
    command = [sys.executable, "-c", SERVED]
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    item = "{'http.request.method': 'GET', 'http.route': '/items/{item}', 'http.response.status_code': 200}"
    nowhere = "{'http.request.method': 'GET', 'http.route': '_unmatched', 'http.response.status_code': 404}"
    kafka = "{'messaging.system': 'kafka'}"
    assert finished.stdout.splitlines() == [
        "http.server.active_requests {} 0",
        f"http.server.request.duration {item} 2",
        "0.25 1.0",
        f"http.server.request.duration {nowhere} 1",
        "0.25 1.0",
        f"messaging.process.active_messages {kafka} 0",
        f"messaging.process.duration {kafka} 1",
        f"tenant.requests {{'tenant': '_none', {item[31:]} 2",
        f"tenant.requests {{'tenant': '_none', {nowhere[31:]} 1",
        "True True",
    ], finished.stderr


def test_printing_and_sending_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="give one of both"):
        configure("f", cloudwatch_namespace="shop", otlp_metrics=True)
