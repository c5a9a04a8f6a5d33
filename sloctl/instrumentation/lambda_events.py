"""What wakes a Lambda function: which records an event has, how a source takes failures, and what a call asked for.

The shapes are those of AWS' documentation of each source. An event of an unknown shape is a direct invocation.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from sloctl.instrumentation.carriers import dynamodb, eventbridge, kafka, kinesis, rabbitmq, sns, sqs
from sloctl.instrumentation.carriers.encoding import KEY, known, name_in_arn, parsed
from sloctl.instrumentation.carriers.outcome import Incoming, extracted
from sloctl.instrumentation.semconv import METHODS, OTHER_METHOD, without_secrets

Event: TypeAlias = dict[str, Any]
Record: TypeAlias = Mapping[str, Any]
WHOLE: Final = "whole batch"


@dataclass(frozen=True, slots=True)
class Source:
    """An event source with several records an event.

    Attributes:
        extract: what a record says.
        identifier: of a record in `batchItemFailures`; None where the source does not understand them, so that a
            failure must be raised: otherwise Lambda takes the event as done, and nothing retries it.
        group: records with the same group are handled in order, so that a failure stops the rest of its group; None
            where there is no order.
    """

    extract: Callable[[Record], Incoming]
    identifier: Callable[[Record], Any] | None = None
    group: Callable[[Record], str | None] = lambda _record: None


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of an event, each with its source and with the event that has only this one."""

    records: tuple[tuple[Source, Record, Event], ...]
    whole: bool = False


def batch_of(event: object) -> Batch | None:
    """The records of an event, or None where it has none.

    `whole` says that the function's answer is about all records together: an enrichment of EventBridge Pipes and a
    transformation of Firehose answer with as many records as they got.
    """
    if isinstance(event, list):  # EventBridge Pipes
        return _whole(event, source_of) if _are_records(event) and any(map(_source_name, event)) else None
    if not isinstance(event, dict):
        return None
    if "deliveryStreamArn" in event and _are_records(event.get("records")):
        stream = name_in_arn(event["deliveryStreamArn"])
        source = Source(lambda record: _firehose(record, stream))
        return _whole(event["records"], lambda _record: source)
    for key, find in (("Records", source_of), ("messages", lambda _: _ACTIVE_MQ)):
        if _are_records(event.get(key)) and (key == "Records" or event.get("eventSource") == "aws:mq"):
            return Batch(tuple((find(record), record, {**event, key: [record]}) for record in event[key]))
    for key, source in (("records", _KAFKA), ("rmqMessagesByQueue", _RABBIT_MQ)):
        if isinstance(lists := event.get(key), dict) and all(map(_are_records, lists.values())):
            return Batch(tuple(_of_lists(event, key, source)))
    return None


def source_of(record: Record) -> Source:
    """The source that a record names."""
    return _SOURCES.get(_source_name(record), _UNKNOWN)


def _source_name(record: Record) -> str:
    return str(record.get("eventSource") or record.get("EventSource") or "")


def _whole(records: list[Record], find: Callable[[Record], Source]) -> Batch:
    return Batch(tuple((find(record), record, {}) for record in records), whole=True)


def _are_records(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(record, Mapping) for record in found)


def _of_lists(event: Event, key: str, source: Source) -> Iterator[tuple[Source, Record, Event]]:
    """Kafka has a list a partition, RabbitMQ one a queue."""
    for place, records in event[key].items():
        for record in records:
            named = {**record, _PLACE: place}
            yield source, named, {**event, key: {place: [record]}}


def _sequence(record: Record) -> Any:
    inner = record.get("kinesis") or record.get("dynamodb") or {}
    return inner.get("sequenceNumber") or inner.get("SequenceNumber") or ""


def _fifo(record: Record) -> str | None:
    return WHOLE if str(record.get("eventSourceARN", "")).endswith(".fifo") else None


def _kafka(record: Record) -> Incoming:
    """Headers come as `[{"name": [104, 105]}]`: bytes as numbers, which may be negative."""
    listed = record.get("headers") or ()
    pairs = [(name, _bytes(value)) for header in listed for name, value in header.items()]
    topic = record.get("topic")
    return Incoming("kafka", kafka.extract(pairs).fields, destination=topic if isinstance(topic, str) else None)


def _rabbit_mq(record: Record) -> Incoming:
    """Texts in headers come as `{"bytes": [104, 105]}`."""
    headers = (record.get("basicProperties") or {}).get("headers") or {}
    texts = {
        name: _bytes(value.get("bytes")) if isinstance(value, Mapping) else value for name, value in headers.items()
    }
    queue = str(record.get(_PLACE, "")).partition("::")[0]
    return Incoming("rabbitmq", rabbitmq.extract(texts).fields, destination=queue or None)


def _bytes(numbers: object) -> bytes | str | None:
    if isinstance(numbers, list) and all(isinstance(number, int) for number in numbers):
        return bytes(number % 256 for number in numbers)
    return numbers if isinstance(numbers, (bytes, str)) else None


def _active_mq(record: Record) -> Incoming:
    """Properties of JMS are names of Java, which have no dashes: then the payload has the context."""
    data = base64.b64decode(record.get("data", ""))
    fields = known(record.get("properties")) or known((parsed(data) or {}).get(KEY))
    queue = (record.get("destination") or {}).get("physicalName")
    return Incoming("activemq", fields, destination=queue if isinstance(queue, str) else None)


def _firehose(record: Record, stream: str | None) -> Incoming:
    data = base64.b64decode(record.get("data", ""))
    return Incoming("firehose", known((parsed(data) or {}).get(KEY)), destination=stream)


def _guarded(transport: str, read: Callable[[Record], Incoming]) -> Callable[[Record], Incoming]:
    return lambda record: extracted(transport, lambda: read(record))


_PLACE: Final = "sloctl.place"
_UNKNOWN: Final = Source(lambda _record: Incoming("lambda"))
_KAFKA: Final = Source(
    _guarded("kafka", _kafka),
    lambda record: {"partition": record[_PLACE], "offset": record.get("offset")},
    lambda record: str(record[_PLACE]),
)
_RABBIT_MQ: Final = Source(_guarded("rabbitmq", _rabbit_mq))
_ACTIVE_MQ: Final = Source(_guarded("activemq", _active_mq))
_SOURCES: Final[Mapping[str, Source]] = {
    "aws:sqs": Source(sqs.extract, lambda record: record.get("messageId", ""), _fifo),
    "aws:sns": Source(sns.extract),
    "aws:kinesis": Source(kinesis.extract, _sequence, lambda _record: WHOLE),
    "aws:dynamodb": Source(dynamodb.extract, _sequence, lambda _record: WHOLE),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that waits for the function's answer, or an event without records.

    Attributes:
        incoming: what it says of where it comes from.
        name: of the span, or None for the function's.
        trigger: `faas.trigger` of the semantic conventions: `http`, `pubsub`, `other`.
        attributes: of HTTP's semantic conventions.
        answers_http: whether its answer has a status and headers.
    """

    incoming: Incoming
    name: str | None = None
    trigger: str = "other"
    attributes: dict[str, Any] = field(default_factory=dict)
    answers_http: bool = False


def call_of(event: object, context: object) -> Call:
    """What a call or an event without records is; `context` is Lambda's, which holds what `Invoke` sent beside."""
    if isinstance(event, list) and event and isinstance(event[0], Mapping):  # AppSync hands over several at once
        event = event[0]
    if not isinstance(event, Mapping):
        return Call(_direct({}, context))
    about = event.get("requestContext")
    about = about if isinstance(about, Mapping) else {}
    if "connectionId" in about:
        return _web_socket(event, about)
    request = event.get("request")
    if isinstance(event.get("info"), Mapping) and isinstance(request, Mapping):
        return _app_sync(request, event["info"])
    headers = _headers(event)
    if headers or "httpMethod" in event or "http" in about:
        return _http(event, about, headers)
    if isinstance(event.get("detail"), Mapping):
        return Call(eventbridge.extract(event), trigger="pubsub")
    return Call(_direct(event, context))


def _direct(event: Record, context: object) -> Incoming:
    """A direct invocation or a task of a state machine: `_ctx` of its input, or what `Invoke` sent beside it."""

    def read() -> Incoming:
        custom = getattr(getattr(context, "client_context", None), "custom", None)
        sent_before = event.get("requestPayload")  # what failed or succeeded, as a destination gets it
        places = (event.get(KEY), custom, sent_before.get(KEY) if isinstance(sent_before, Mapping) else None)
        return Incoming("lambda", next((fields for place in places if (fields := known(place))), {}))

    return extracted("lambda", read)


def _headers(event: Record) -> dict[str, str]:
    """Names in lower case; of a load balancer or API Gateway with several values, the first one."""
    found: dict[str, str] = {}
    several = event.get("multiValueHeaders")
    if isinstance(several, Mapping):
        found |= {
            str(name).lower(): values[0] for name, values in several.items() if isinstance(values, list) and values
        }
    if isinstance(single := event.get("headers"), Mapping):
        found |= {str(name).lower(): value for name, value in single.items()}
    return found


def _http(event: Record, about: Record, headers: Mapping[str, str]) -> Call:
    version_two = about.get("http")
    version_two = version_two if isinstance(version_two, Mapping) else {}
    method = str(version_two.get("method") or event.get("httpMethod") or "")
    route = event.get("resource") or str(event.get("routeKey") or "").partition(" ")[2] or None
    client = version_two.get("sourceIp") or (about.get("identity") or {}).get("sourceIp")
    client = client or headers.get("x-forwarded-for", "").partition(",")[0]
    attributes = {
        "http.request.method": METHODS.get(method, OTHER_METHOD) if method else None,
        "http.route": route,
        "url.path": event.get("rawPath") or event.get("path"),
        "url.query": without_secrets(str(event.get("rawQueryString") or "")),
        "url.scheme": headers.get("x-forwarded-proto", "https"),
        "server.address": about.get("domainName") or headers.get("host"),
        "client.address": client,
        "user_agent.original": headers.get("user-agent"),
    }
    known_method = METHODS.get(method, "HTTP")
    name = f"{known_method} {route}" if route else known_method
    incoming = extracted("http", lambda: Incoming("http", known(headers)))
    return Call(
        incoming, name if method else None, "http", {key: v for key, v in attributes.items() if v}, answers_http=True
    )


def _web_socket(event: Record, about: Record) -> Call:
    """Only `$connect` has headers; a message may have the context in its JSON."""

    def read() -> Incoming:
        return Incoming("websocket", known(_headers(event)) or known((parsed(event.get("body")) or {}).get(KEY)))

    route = about.get("routeKey")
    attributes = {"http.route": route} if isinstance(route, str) else {}
    return Call(extracted("websocket", read), str(route or "websocket"), "http", attributes)


def _app_sync(request: Record, about: Record) -> Call:
    name = f"{about.get('parentTypeName', '')}.{about.get('fieldName', '')}"
    incoming = extracted("http", lambda: Incoming("http", known(_headers(request))))
    return Call(incoming, name, "http", {"graphql.operation.name": name})
