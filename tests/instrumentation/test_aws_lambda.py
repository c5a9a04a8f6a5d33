"""Lambda functions: the context of each event, and of each record of a batch."""

import base64
import json
from typing import Any

import pytest

from sloctl.instrumentation import current, lambda_handler
from tests.instrumentation.conftest import Configure

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
