"""Lambda functions: the context of each event, and of each record of a batch."""

import base64
import json
import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry

from sloctl.instrumentation import carriers, configure, consume, current, lambda_handler
from testing.servers import ROOT
from tests.instrumentation.conftest import Collector, Configure

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FIELDS = {"x-request-id": "request-0001", "traceparent": TRACE}
TEXT = f"x-request-id=request-0001&traceparent={TRACE}"
TYPED = {"M": {key: {"S": value} for key, value in FIELDS.items()}}


def sqs(number: int = 1, queue: str = "q") -> dict[str, Any]:
    value = TEXT.replace("0001", f"{number:04}")
    return {
        "messageId": f"m-{number}",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-west-1:1:{queue}",
        "body": "{}",
        "messageAttributes": {"_ctx": {"stringValue": value, "dataType": "String"}},
    }


RECORDS: dict[str, dict[str, Any]] = {
    "sqs": sqs(),
    "sns": {"EventSource": "aws:sns", "Sns": {"MessageAttributes": {"_ctx": {"Type": "String", "Value": TEXT}}}},
    "kinesis": {
        "eventSource": "aws:kinesis",
        "kinesis": {"data": base64.b64encode(json.dumps({"_ctx": FIELDS}).encode()).decode(), "sequenceNumber": "7"},
    },
    "dynamodb": {
        "eventSource": "aws:dynamodb",
        "eventName": "MODIFY",
        "dynamodb": {"NewImage": {"_ctx": TYPED}, "SequenceNumber": "8"},
    },
}


def request_id() -> str:
    context = current()
    assert context is not None
    return context.request_id


@pytest.mark.parametrize("source", list(RECORDS))
def test_a_record_of_each_source(observed: Configure, source: str) -> None:
    there = observed()

    @lambda_handler(runtime=there.runtime)
    def handler(event: dict[str, Any], context: Any) -> str:
        assert event["Records"] == [RECORDS[source]]
        return request_id()

    assert handler({"Records": [RECORDS[source]]}, None) == "request-0001"
    assert there.span.parent is not None
    assert current() is None


def test_an_event_of_eventbridge(observed: Configure) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime)(lambda _event, _context: request_id())
    assert handler({"detail-type": "x", "source": "y", "detail": {"_ctx": FIELDS}}, None) == "request-0001"


def test_a_batch_has_one_context_and_one_link_a_record(observed: Configure) -> None:
    there = observed()
    seen = []

    @lambda_handler(runtime=there.runtime)
    def handler(event: dict[str, Any], context: Any) -> None:
        seen.append((len(event["Records"]), request_id()))

    handler({"Records": [sqs(1), sqs(2), sqs(3)]}, None)
    assert seen == [(1, "request-0001"), (1, "request-0002"), (1, "request-0003")]
    assert [len(span.links) for span in there.spans] == [1, 1, 1]
    assert len({span.get_span_context().trace_id for span in there.spans}) == 3  # type: ignore[union-attr]


def failing(numbers: set[str]) -> Any:
    def handler(event: dict[str, Any], context: Any) -> None:
        if request_id() in numbers:
            raise ValueError("bad record")

    return handler


def test_a_failure_fails_the_invocation_unless_it_is_reported(observed: Configure) -> None:
    there = observed()
    event = {"Records": [sqs(1), sqs(2), sqs(3)]}
    with pytest.raises(ValueError, match="bad record"):
        lambda_handler(runtime=there.runtime)(failing({"request-0002"}))(event, None)
    reporting = lambda_handler(runtime=there.runtime, report_failures=True)
    assert reporting(failing({"request-0002"}))(event, None) == {"batchItemFailures": [{"itemIdentifier": "m-2"}]}
    assert reporting(failing(set()))(event, None) == {"batchItemFailures": []}


def test_an_ordered_source_stops_at_its_first_failure(observed: Configure) -> None:
    there = observed()
    event = {"Records": [sqs(number, "orders.fifo") for number in (1, 2, 3)]}
    answer = lambda_handler(runtime=there.runtime, report_failures=True)(failing({"request-0002"}))(event, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-2"}, {"itemIdentifier": "m-3"}]}


def test_what_the_handler_reports_itself_is_kept(observed: Configure) -> None:
    there = observed()

    @lambda_handler(runtime=there.runtime)
    def handler(event: dict[str, Any], context: Any) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}

    answer = handler({"Records": [sqs(1), sqs(2)]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]}


def test_a_failure_that_the_handler_reports_stops_an_ordered_source_too(observed: Configure) -> None:
    """Otherwise the messages behind it are acknowledged, and it comes again after them."""
    there, seen = observed(), []

    @lambda_handler(runtime=there.runtime)
    def handler(event: dict[str, Any], context: Any) -> Any:
        (record,) = event["Records"]
        seen.append(record["messageId"])
        return {"batchItemFailures": [{"itemIdentifier": "m-1"}] if record["messageId"] == "m-1" else []}

    answer = handler({"Records": [sqs(number, "orders.fifo") for number in (0, 1, 2)]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]}
    assert seen == ["m-0", "m-1"]
    assert [(span.attributes or {}).get("error.type") for span in there.spans] == [None, "reported"]


STRANGERS = {
    "sns": RECORDS["sns"],
    "s3": {"eventSource": "aws:s3", "s3": {"object": {"key": "k"}}},
    "ses": {"eventSource": "aws:ses", "ses": {}},
    "codecommit": {"eventSource": "aws:codecommit"},
    "cloudfront": {"cf": {"request": {"uri": "/"}}},
}


@pytest.mark.parametrize("source", list(STRANGERS))
@pytest.mark.parametrize("reports", [True, False])
def test_a_source_that_takes_no_answer_gets_the_exception(observed: Configure, source: str, reports: bool) -> None:
    """Lambda would take an answer as done: no retry, no dead-letter queue."""
    there = observed()
    handler = lambda_handler(runtime=there.runtime, report_failures=reports)
    with pytest.raises(RuntimeError, match="cannot process"):
        handler(raising)({"Records": [STRANGERS[source]]}, None)
    assert handler(lambda _event, _context: "done")({"Records": [STRANGERS[source]]}, None) == "done"


def raising(_event: Any, _context: Any) -> None:
    raise RuntimeError("cannot process")


def kafka(partition: int, offset: int, number: int = 1) -> dict[str, Any]:
    """A record as MSK hands it over; bytes above 127 come as negative numbers in some runtimes."""
    fields = {"x-request-id": f"request-{number:04}", "traceparent": TRACE}
    headers = [{name: list(value.encode())} for name, value in fields.items()]
    return {"topic": "orders", "partition": partition, "offset": offset, "value": "e30=",
            "headers": [*headers, {"binary": [-1, 127]}]}  # fmt: skip


def msk(*records: dict[str, Any]) -> dict[str, Any]:
    by_partition: dict[str, list[Any]] = {}
    for record in records:
        by_partition.setdefault(f"orders-{record['partition']}", []).append(record)
    return {"eventSource": "aws:kafka", "eventSourceArn": "arn:aws:kafka:x", "records": by_partition}


def test_records_of_kafka_one_by_one(observed: Configure) -> None:
    there, seen = observed(), []

    @lambda_handler(runtime=there.runtime)
    def handler(event: dict[str, Any], context: Any) -> None:
        ((partition, records),) = event["records"].items()
        seen.append((partition, [record["offset"] for record in records], request_id()))

    handler(msk(kafka(0, 7, 1), kafka(0, 8, 2), kafka(1, 3, 3)), None)
    assert seen == [
        ("orders-0", [7], "request-0001"),
        ("orders-0", [8], "request-0002"),
        ("orders-1", [3], "request-0003"),
    ]
    assert (there.spans[0].attributes or {})["messaging.destination.name"] == "orders"


def test_a_failure_stops_its_partition_of_kafka_only(observed: Configure) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime, report_failures=True)(failing({"request-0001"}))
    answer = handler(msk(kafka(0, 7, 1), kafka(0, 8, 2), kafka(1, 3, 3)), None)
    assert answer == {
        "batchItemFailures": [
            {"itemIdentifier": {"partition": "orders-0", "offset": 7}},
            {"itemIdentifier": {"partition": "orders-0", "offset": 8}},
        ]
    }


def rabbit() -> dict[str, Any]:
    headers = {name: {"bytes": list(value.encode())} for name, value in FIELDS.items()}
    record = {"basicProperties": {"headers": {**headers, "number": 7}}, "data": "e30=", "redelivered": False}
    return {"eventSource": "aws:rmq", "rmqMessagesByQueue": {"orders::/": [record]}}


def active(**where: Any) -> dict[str, Any]:
    record = {"messageID": "ID:1", "destination": {"physicalName": "orders"}, "data": "e30=", **where}
    return {"eventSource": "aws:mq", "messages": [record]}


def encoded(value: Any) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


BATCHES = {
    "rabbitmq": rabbit(),
    "activemq properties": active(properties=FIELDS),
    "activemq payload": active(data=encoded({"_ctx": FIELDS})),
    "kafka": msk(kafka(0, 1)),
    "pipes": [sqs(1)],
    "firehose": {"deliveryStreamArn": "arn:aws:firehose:eu-west-1:1:deliverystream/logs",
                 "records": [{"recordId": "1", "data": encoded({"_ctx": FIELDS})}]},
}  # fmt: skip


@pytest.mark.parametrize("source", list(BATCHES))
def test_a_message_of_a_broker(observed: Configure, source: str) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime)(lambda event, _context: (event, request_id()))
    event, found = handler(BATCHES[source], None)
    assert found == "request-0001"
    assert event == BATCHES[source]
    assert there.span.kind is SpanKind.CONSUMER
    assert there.span.parent is not None
    assert (there.span.attributes or {})["messaging.operation.name"] == "process"


def test_records_whose_answers_belong_together_stay_together(observed: Configure) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime)(lambda event, _context: len(event))
    assert handler([sqs(1), sqs(2)], None) == 2
    assert len(there.span.links) == 2
    assert (there.span.attributes or {})["messaging.batch.message_count"] == 2


def test_a_batch_as_a_whole_links_to_each_sender(observed: Configure) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime, records="batch")(lambda event, _context: len(event["Records"]))
    assert handler({"Records": [sqs(1), sqs(2), sqs(3)]}, None) == 3
    assert len(there.span.links) == 3
    assert (there.span.attributes or {})["request.id"] == f"{there.span.get_span_context().trace_id:032x}"  # type: ignore[union-attr]


def test_powertools_batch_processor_beside_it(observed: Configure) -> None:
    """One bad record of three: the other two are handled once, and only it is reported."""
    there, seen = observed(), []
    processor = BatchProcessor(event_type=EventType.SQS)

    def ship(record: Any) -> None:
        with consume(carriers.sqs.extract(record.raw_event), name="ship", runtime=there.runtime) as context:
            seen.append((record.message_id, context.request_id))
            if record.message_id == "m-1":
                raise ValueError("bad record")

    @lambda_handler(runtime=there.runtime, records="batch")
    def handler(event: dict[str, Any], context: Any) -> Any:
        return process_partial_response(event=event, record_handler=ship, processor=processor, context=context)

    assert handler({"Records": [sqs(0), sqs(1), sqs(2)]}, None) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert seen == [("m-0", "request-0000"), ("m-1", "request-0001"), ("m-2", "request-0002")]


def test_what_cannot_be_meant_is_refused_at_once(observed: Configure) -> None:
    wrong: Any = "all"
    with pytest.raises(ValueError, match="records is"):
        lambda_handler(records=wrong)
    with pytest.raises(ValueError, match="reports failures itself"):
        lambda_handler(records="batch", report_failures=True)

    async def handler(event: Any, context: Any) -> None: ...

    with pytest.raises(TypeError, match="no coroutine"):
        lambda_handler(handler)


LAMBDA = SimpleNamespace(
    function_name="billing",
    aws_request_id="11111111-2222-3333-4444-555555555555",
    invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:billing:live",
    client_context=None,
)
REST = {
    "resource": "/orders/{id}", "path": "/orders/7", "httpMethod": "GET", "headers": dict(FIELDS),
    "requestContext": {"domainName": "api.example.com", "identity": {"sourceIp": "192.0.2.1"}},
}  # fmt: skip
HTTP = {
    "version": "2.0", "routeKey": "GET /orders/{id}", "rawPath": "/orders/7", "rawQueryString": "a=1&sig=secret",
    "headers": {**FIELDS, "user-agent": "curl"},
    "requestContext": {"domainName": "api.example.com", "http": {"method": "GET", "sourceIp": "192.0.2.1"}},
}  # fmt: skip
BALANCER = {
    "requestContext": {"elb": {"targetGroupArn": "arn:x"}}, "httpMethod": "GET", "path": "/orders/7",
    "multiValueHeaders": {name: [value] for name, value in FIELDS.items()},
}  # fmt: skip
CALLS: dict[str, tuple[Any, str]] = {
    "rest api": (REST, "GET /orders/{id}"),
    "http api": (HTTP, "GET /orders/{id}"),
    "function url": ({**HTTP, "routeKey": "$default"}, "GET"),
    "load balancer": (BALANCER, "GET"),
}


@pytest.mark.parametrize("source", list(CALLS))
def test_a_function_behind_http_is_a_server(observed: Configure, source: str) -> None:
    there = observed()
    event, name = CALLS[source]
    handler = lambda_handler(runtime=there.runtime, trust="internal")(lambda *_: {"statusCode": 503, "body": ""})
    answer = handler(event, LAMBDA)
    key, value = ("multiValueHeaders", ["request-0001"]) if source == "load balancer" else ("headers", "request-0001")
    assert answer[key] == {"x-request-id": value}
    span, attributes = there.span, there.span.attributes or {}
    assert (span.name, span.kind, span.status.status_code) == (name, SpanKind.SERVER, StatusCode.ERROR)
    wanted = {"http.request.method": "GET", "http.response.status_code": 503, "error.type": "503",
              "url.path": "/orders/7", "faas.trigger": "http", "request.id": "request-0001",
              "faas.invocation_id": LAMBDA.aws_request_id, "cloud.account.id": "123456789012",
              "aws.lambda.invoked_arn": LAMBDA.invoked_function_arn,
              "cloud.resource_id": "arn:aws:lambda:eu-west-1:123456789012:function:billing"}  # fmt: skip
    assert {key: attributes.get(key) for key in wanted} == wanted
    assert "messaging.system" not in attributes
    assert "secret" not in str(attributes)
    assert span.parent is not None


def test_a_function_that_raises_is_a_failed_request(observed: Configure) -> None:
    there = observed()
    with pytest.raises(RuntimeError):
        lambda_handler(runtime=there.runtime)(raising)(REST, LAMBDA)
    assert there.span.status.status_code is StatusCode.ERROR
    assert (there.span.attributes or {})["error.type"] == "RuntimeError"
    labels = {"http_request_method": "GET", "http_route": "/orders/{id}", "http_response_status_code": "500"}
    assert there.value("http_server_request_duration_seconds_count", **labels, error_type="RuntimeError") == 1


def test_an_answer_without_a_status_is_a_200(observed: Configure) -> None:
    there = observed()
    assert lambda_handler(runtime=there.runtime)(lambda *_: {"total": 7})(HTTP, LAMBDA) == {"total": 7}
    assert (there.span.attributes or {})["http.response.status_code"] == 200


DIRECT: dict[str, tuple[Any, Any]] = {
    "task of a state machine": ({"order": 1, "_ctx": FIELDS}, LAMBDA),
    "invoke with a client context": ({"order": 1}, SimpleNamespace(client_context=SimpleNamespace(custom=FIELDS))),
    "invoke whose payload is no object": ([1], SimpleNamespace(client_context=SimpleNamespace(custom=FIELDS))),
    "destination": ({"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": {"_ctx": FIELDS}}, LAMBDA),
    "websocket connect": ({"headers": FIELDS, "requestContext": {"connectionId": "c", "routeKey": "$connect"}}, LAMBDA),
    "websocket message": (
        {"body": json.dumps({"_ctx": FIELDS}), "requestContext": {"connectionId": "c", "routeKey": "send"}}, LAMBDA
    ),
    "appsync": ({"request": {"headers": FIELDS}, "info": {"parentTypeName": "Query", "fieldName": "order"}}, LAMBDA),
    "appsync batch": (
        [{"request": {"headers": FIELDS}, "info": {"parentTypeName": "Order", "fieldName": "items"}}] * 2, LAMBDA
    ),
}  # fmt: skip


@pytest.mark.parametrize("source", list(DIRECT))
def test_other_calls_of_a_function(observed: Configure, source: str) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime, trust="internal")(lambda _event, _context: request_id())
    assert handler(*DIRECT[source]) == "request-0001"
    assert there.span.kind is SpanKind.SERVER
    assert there.span.parent is not None
    trigger = "http" if "websocket" in source or "appsync" in source else "other"
    assert (there.span.attributes or {})["faas.trigger"] == trigger
    assert there.value("faas_invoke_duration_seconds_count", faas_trigger=trigger, error_type="") == 1


def test_the_ids_of_a_public_websocket_or_graphql_are_not_ours(observed: Configure) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime)(lambda _event, _context: request_id())
    for source in ("websocket message", "appsync"):
        assert handler(*DIRECT[source]) != "request-0001"
    assert [(span.attributes or {})["client.request_id"] for span in there.spans] == ["request-0001"] * 2


def test_durations_are_printed_for_cloudwatch(observed: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    there = observed("billing", cloudwatch_namespace="shop")
    lambda_handler(runtime=there.runtime, report_failures=True)(failing({"request-0002"}))(
        {"Records": [sqs(1), sqs(2), sqs(3)]}, LAMBDA
    )
    good, bad = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    about = good.pop("_aws")["CloudWatchMetrics"]
    base = ["service.name", "messaging.system", "messaging.destination.name"]
    metrics = [{"Name": "messaging.process.duration", "Unit": "Seconds"}]
    assert about == [{"Namespace": "shop", "Dimensions": [base], "Metrics": metrics}]
    assert len(good.pop("messaging.process.duration")) == 2
    assert good == {"service.name": "billing", "messaging.system": "aws_sqs", "messaging.destination.name": "q"}
    (about,) = bad["_aws"]["CloudWatchMetrics"]
    assert about["Dimensions"] == [base, [*base, "error.type"]]
    assert bad["error.type"] == "ValueError"
    assert len(bad["messaging.process.duration"]) == 1
    lambda_handler(runtime=there.runtime)(lambda *_: None)({}, LAMBDA)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["faas.trigger"] == "other"


OVER_OTLP = """
import os
from types import SimpleNamespace
from sloctl.instrumentation import configure, lambda_handler

configure("billing", "test", otlp_metrics=True)

@lambda_handler(report_failures=True)
def handler(event, context):
    if event["Records"][0]["messageId"] == "m-2":
        raise ValueError("bad record")

source = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:q"}
records = [{"messageId": f"m-{number}", **source} for number in (1, 2, 3)]
handler({"Records": records}, SimpleNamespace(function_name="billing"))
os._exit(0)  # Lambda freezes the process: what was not sent by now never is
"""


@pytest.mark.server
def test_durations_are_sent_by_otlp_before_the_process_is_frozen(collector: Collector) -> None:
    chosen = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    command = [sys.executable, "-c", OVER_OTLP]
    finished = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **chosen}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    body = next(body for path, body in collector.received if path == "/v1/metrics")
    (resource,) = ExportMetricsServiceRequest.FromString(body).resource_metrics
    who = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    assert who["service.name"] == "billing"
    assert len(who["service.instance.id"]) == 36
    metrics = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    duration = metrics["messaging.process.duration"]
    counts = {
        tuple(sorted((attribute.key, attribute.value.string_value) for attribute in point.attributes)): point.count
        for point in duration.histogram.data_points
    }
    good = (("messaging.destination.name", "q"), ("messaging.system", "aws_sqs"))
    assert (duration.unit, counts) == ("s", {good: 2, (("error.type", "ValueError"), *good): 1})


def test_a_call_over_http_at_the_edge(observed: Configure) -> None:
    there = observed()

    @lambda_handler(runtime=there.runtime)
    def handler(event: dict[str, Any], context: Any) -> Any:
        found = current()
        assert found is not None
        return {"statusCode": 200, "headers": {"X-Request-ID": "own", "x-other": "1"}, "body": found.origin}

    answer = handler({"headers": {"X-Request-Id": "client-id-0001", "traceparent": TRACE}}, None)
    assert answer["body"] == "edge"
    assert answer["headers"]["x-other"] == "1"
    assert set(answer["headers"]) == {"x-other", "x-request-id"}
    span = there.span
    assert span.parent is None
    assert len(span.links) == 1
    assert (span.attributes or {})["request.id"] == answer["headers"]["x-request-id"]


def test_a_call_over_http_from_an_own_service(observed: Configure) -> None:
    there = observed()
    handler = lambda_handler(runtime=there.runtime, trust="internal")(lambda _event, _context: request_id())
    assert handler({"headers": dict(FIELDS)}, None) == "request-0001"


def test_the_decorator_without_arguments_takes_what_was_configured(observed: Configure) -> None:
    observed()

    @lambda_handler
    def handler(event: Any, context: Any) -> str:
        return request_id()

    assert len(handler({}, None)) == 32
    assert handler.__name__ == "handler"


@pytest.mark.allows_failed_steps
@pytest.mark.parametrize(
    "event", [None, [], "text", {"Records": "x"}, {"Records": [1]}, {"Records": [{}]}, {"headers": {"x-request-id": 7}},
              {"Records": [{"eventSource": "aws:kinesis", "kinesis": {"data": "%%%"}}]}, {"detail": "text"}]
)  # fmt: skip
def test_any_event_reaches_the_handler(observed: Configure, event: Any) -> None:
    there = observed()
    assert lambda_handler(runtime=there.runtime)(lambda _event, _context: "reached")(event, None) == "reached"


KEYS = st.sampled_from(
    ["Records", "records", "messages", "rmqMessagesByQueue", "eventSource", "deliveryStreamArn", "headers", "info",
     "multiValueHeaders", "requestContext", "http", "identity", "httpMethod", "routeKey", "request", "detail", "_ctx",
     "requestPayload", "connectionId", "basicProperties", "kinesis", "dynamodb", "destination", "data", "x-request-id"]
)  # fmt: skip
VALUES = (
    st.sampled_from(["aws:mq", "aws:sqs", "aws:kinesis", "aws:dynamodb", "arn:a", "%%"]) | st.none() | st.integers()
)
EVENT = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@pytest.mark.property
@pytest.mark.allows_failed_steps
@given(EVENT)
def test_no_event_however_malformed_fails_the_function(event: Any) -> None:
    runtime = configure("f", "test", registry=CollectorRegistry(), set_global=False)
    seen = []
    lambda_handler(runtime=runtime, report_failures=True)(lambda got, _context: seen.append(got))(event, LAMBDA)
    assert seen or event in ({"Records": []}, [])
