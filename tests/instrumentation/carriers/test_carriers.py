"""The form of each carrier: what is added, what stays, and what the other side reads."""

import base64
import copy
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.instrumentation import RequestContext
from sloctl.instrumentation.carriers import (
    TextMap,
    dynamodb,
    eventbridge,
    http,
    kafka,
    kinesis,
    mapping,
    mqtt,
    nats,
    rabbitmq,
    redis,
    sns,
    sqs,
)
from sloctl.instrumentation.context import entered
from sloctl.instrumentation.counters import CARRIED
from tests.instrumentation.conftest import Configure

ID = "request-0001"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
KIB = 1024


@pytest.fixture
def context(observed: Configure) -> Iterator[RequestContext]:
    """A request of a tenant with baggage, inside of a span."""
    there = observed(baggage=["plan"], internal_hosts=["orders"])
    request = RequestContext(ID, tenant_id="acme", baggage={"plan": "gold", "secret": "x"})
    with there.runtime.tracer.start_as_current_span("work"), entered(request):
        yield request


def expected(fields: Any) -> None:
    """All of the context is there, and only what may leave."""
    assert fields["x-request-id"] == ID
    assert fields["x-tenant-id"] == "acme"
    assert fields["baggage"] == "plan=gold"
    assert fields["traceparent"].startswith("00-")
    assert set(fields) == {"x-request-id", "x-tenant-id", "baggage", "traceparent"}


def count(transport: str, outcome: str, direction: str = "inject") -> float:
    return float(CARRIED.labels(transport, direction, outcome)._value.get())


def test_outside_of_a_request_nothing_is_added_and_that_is_counted() -> None:
    before = count("sqs", "no context")
    message: dict[str, Any] = {"MessageBody": "x"}
    assert sqs.inject(message).skipped == "no context"
    assert message == {"MessageBody": "x"}
    assert count("sqs", "no context") == before + 1


class TestHttp:
    def test_own_hosts_get_everything_and_others_no_tenant_and_no_baggage(self, context: RequestContext) -> None:
        ours: dict[str, str] = {}
        theirs: dict[str, str] = {"accept": "*/*"}
        assert http.inject(ours, "orders").ok
        assert http.inject(theirs, "elsewhere.example").ok
        expected(http.extract({name.title(): value for name, value in ours.items()}).fields)
        assert set(theirs) == {"accept", "x-request-id", "traceparent"}


class TestSqs:
    def test_one_attribute_is_added_to_a_copy(self, context: RequestContext) -> None:
        own = {"kind": {"DataType": "String", "StringValue": "order"}}
        message = {"MessageBody": "x", "MessageAttributes": own}
        assert sqs.inject(message).ok
        assert list(own) == ["kind"]
        assert set(message["MessageAttributes"]) == {"kind", "_ctx"}
        expected(sqs.extract(message).fields)

    def test_the_attribute_of_a_message_that_is_sent_on_is_replaced(self, context: RequestContext) -> None:
        message: dict[str, Any] = {
            "MessageBody": "x",
            "MessageAttributes": {f"a{n}": {} for n in range(9)} | {"_ctx": {"StringValue": "x-request-id=old-id-001"}},
        }
        assert sqs.inject(message) == sqs.Outcome("sqs")
        expected(sqs.extract(message).fields)

    def test_with_ten_attributes_the_trace_header_carries_id_and_trace(self, context: RequestContext) -> None:
        before = count("sqs", "AWSTraceHeader")
        message: dict[str, Any] = {"MessageBody": "x", "MessageAttributes": {f"a{n}": {} for n in range(10)}}
        outcome = sqs.inject(message)
        assert (outcome.ok, outcome.note) == (True, "AWSTraceHeader")
        assert len(message["MessageAttributes"]) == 10
        text = message["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"]
        fields = sqs.extract({"Body": "x", "Attributes": {"AWSTraceHeader": text}}).fields
        assert set(fields) == {"x-request-id", "traceparent"}
        assert fields["x-request-id"] == ID
        assert count("sqs", "AWSTraceHeader") == before + 1

    def test_with_the_trace_header_taken_too_the_message_stays_as_it_is(self, context: RequestContext) -> None:
        message: dict[str, Any] = {
            "MessageBody": "x",
            "MessageAttributes": {f"a{n}": {} for n in range(10)},
            "MessageSystemAttributes": {"AWSTraceHeader": {"StringValue": "Root=mine"}},
        }
        before = copy.deepcopy(message)
        assert sqs.inject(message).skipped == "attributes full"
        assert message == before

    @pytest.mark.parametrize("limit", [256 * KIB, 1024 * KIB])
    def test_a_message_is_not_pushed_over_a_limit(self, context: RequestContext, limit: int) -> None:
        message: dict[str, Any] = {"MessageBody": "x" * (limit - 50)}
        assert sqs.inject(message).skipped == "too large"
        assert "MessageAttributes" not in message
        assert sqs.inject({"MessageBody": "x" * (limit - 1000)}).ok
        assert sqs.inject({"MessageBody": "x"}, beside=limit - 50).skipped == "too large"

    def test_a_record_of_a_lambda_event_is_read_too(self, context: RequestContext) -> None:
        message: dict[str, Any] = {"MessageBody": "x"}
        sqs.inject(message)
        value = message["MessageAttributes"]["_ctx"]["StringValue"]
        record = {"body": "x", "messageAttributes": {"_ctx": {"dataType": "String", "stringValue": value}}}
        expected(sqs.extract(record).fields)

    @pytest.mark.parametrize(
        "header", ["", "Root=1-x-y", "Root=1-0af76519-16cd43dd8448eb211c80319c", "=;=;", "x" * 5000]
    )
    def test_a_trace_header_of_others_is_read_as_far_as_it_is_one(self, header: str) -> None:
        fields = sqs.extract({"Body": "", "Attributes": {"AWSTraceHeader": header}}).fields
        assert dict(fields) == ({"x-request-id": TRACE_ID} if header.startswith("Root=1-0af") else {})


class TestSns:
    def test_the_attribute_is_text_that_is_no_json(self, context: RequestContext) -> None:
        message: dict[str, Any] = {"Message": "x"}
        assert sns.inject(message).ok
        attribute = message["MessageAttributes"]["_ctx"]
        assert attribute["DataType"] == "String"
        with pytest.raises(json.JSONDecodeError):
            json.loads(attribute["StringValue"])

    def test_a_full_message_stays_as_it_is(self, context: RequestContext) -> None:
        message = {"Message": "x", "MessageAttributes": {f"a{n}": {} for n in range(10)}}
        assert sns.inject(message).skipped == "attributes full"
        assert len(message["MessageAttributes"]) == 10

    @pytest.mark.parametrize("kind", ["String", "Binary"])
    def test_it_is_found_in_the_body_that_sns_puts_into_a_queue(self, context: RequestContext, kind: str) -> None:
        message: dict[str, Any] = {"Message": "x"}
        sns.inject(message)
        value = message["MessageAttributes"]["_ctx"]["StringValue"]
        if kind == "Binary":
            value = base64.b64encode(value.encode()).decode()
        body = {"Type": "Notification", "MessageAttributes": {"_ctx": {"Type": kind, "Value": value}}}
        incoming = sqs.extract({"Body": json.dumps(body)})
        assert incoming.transport == "sns"
        expected(incoming.fields)
        expected(sns.extract({"Sns": body}).fields)


class TestEventBridge:
    def test_the_detail_gets_a_member_and_nothing_else_changes(self, context: RequestContext) -> None:
        entry = {"Source": "s", "DetailType": "d", "Detail": '{"price": 1.10,\n "big": 12345678901234567890}'}
        assert eventbridge.inject(entry).ok
        assert entry["Detail"].startswith('{"price": 1.10,\n "big": 12345678901234567890, "_ctx": {')
        expected(eventbridge.extract({"detail": json.loads(entry["Detail"])}).fields)
        expected(sqs.extract({"Body": json.dumps({"detail": json.loads(entry["Detail"])})}).fields)

    @pytest.mark.parametrize("detail", ["[1]", "no json", "", '"text"', '{"open": ', "[" * 100_000])
    def test_a_detail_that_is_no_object_stays_as_it_is(self, context: RequestContext, detail: str) -> None:
        entry = {"Detail": detail}
        assert eventbridge.inject(entry).skipped == "payload is no JSON object"
        assert entry == {"Detail": detail}

    def test_an_event_is_not_pushed_over_the_limit(self, context: RequestContext) -> None:
        entry = {"Detail": json.dumps({"x": "y" * (256 * KIB - 60)})}
        before = dict(entry)
        assert eventbridge.inject(entry).skipped == "too large"
        assert entry == before

    def test_an_event_that_is_sent_on_has_one_context(self, context: RequestContext) -> None:
        entry = {"Detail": '{"_ctx": {"x-request-id": "older-id-1"}, "a": 1}'}
        eventbridge.inject(entry)
        assert entry["Detail"].count("_ctx") == 1
        expected(json.loads(entry["Detail"])["_ctx"])


class TestKinesis:
    @pytest.mark.parametrize("data", ['{"a": 1}', b'{"a": 1}', b"{}", " {} "])
    def test_a_json_object_gets_a_member_and_keeps_its_type(self, context: RequestContext, data: Any) -> None:
        record = {"Data": data}
        assert kinesis.inject(record).ok
        assert type(record["Data"]) is type(data)
        expected(json.loads(record["Data"])["_ctx"])
        expected(kinesis.extract(record).fields)
        event = {"kinesis": {"data": base64.b64encode(_bytes(record["Data"])).decode()}}
        expected(kinesis.extract(event).fields)

    @pytest.mark.parametrize("data", [b' {"a": 1.10} \n', "{\n}\r\n", b'{"a": {"b": 1}\t}\n\n'])
    def test_all_other_characters_stay(self, context: RequestContext, data: Any) -> None:
        """Firehose joins records as they are: without their newlines they become one line."""
        record = {"Data": data}
        assert kinesis.inject(record).ok
        start, end = (b"{", b"}") if isinstance(data, bytes) else ("{", "}")
        assert record["Data"].startswith(data[: data.rindex(end)].rstrip())
        assert record["Data"].endswith(data[data.rindex(end) :])
        assert record["Data"].count(start) == data.count(start) + 1

    @pytest.mark.parametrize("old", ['{"x-request-id": "older-id-1"}', "7", '"}{,:"', "[]"])
    def test_a_record_that_is_sent_on_has_one_context_and_all_other_characters(
        self, context: RequestContext, old: str
    ) -> None:
        data = f'{{"price": 1.10, "a": {{"_ctx": 0}} ,"_ctx" : {old} ,\n "big": 1e400}}\n'
        record = {"Data": data}
        assert kinesis.inject(record).ok
        expected(json.loads(record["Data"])["_ctx"])
        before, _, after = data.rpartition(old)
        assert record["Data"].startswith(before)
        assert record["Data"].endswith(after)

    @pytest.mark.parametrize("data", [b"\x00\xff binary", "plain text", b"[1, 2]"])
    def test_anything_else_is_wrapped_only_if_asked(self, context: RequestContext, data: Any) -> None:
        record = {"Data": data}
        assert kinesis.inject(record).skipped == "payload is no JSON object"
        assert record["Data"] == data
        assert kinesis.inject(record, envelope=True).ok
        assert kinesis.payload(record) == data
        expected(kinesis.extract(record).fields)


class TestDynamoDb:
    @pytest.mark.parametrize("typed", [True, False])
    def test_an_item_gets_a_map_in_the_form_of_its_values(self, context: RequestContext, typed: bool) -> None:
        item: dict[str, Any] = {"id": {"S": "1"}} if typed else {"id": "1"}
        assert dynamodb.inject(item).ok
        assert ("M" in item["_ctx"]) is typed
        incoming = dynamodb.extract({"eventName": "INSERT", "dynamodb": {"NewImage": item}})
        expected(incoming.fields)
        assert not incoming.last_writer

    def test_a_plain_value_may_look_like_the_services_form(self, context: RequestContext) -> None:
        item: dict[str, Any] = {"id": "1", "schema": {"S": "x"}}
        dynamodb.inject(item)
        expected(item["_ctx"])

    def test_a_removal_has_the_last_writers_context_and_says_so(self, context: RequestContext) -> None:
        item: dict[str, Any] = {"id": {"S": "1"}}
        dynamodb.inject(item)
        incoming = dynamodb.extract({"eventName": "REMOVE", "dynamodb": {"OldImage": item}})
        expected(incoming.fields)
        assert incoming.last_writer

    @pytest.mark.parametrize(
        ("expression", "result"),
        [
            ("SET a = :a", "SET #sloctl_ctx = :sloctl_ctx, a = :a"),
            ("remove b set #set = :a", "remove b set #sloctl_ctx = :sloctl_ctx, #set = :a"),
            ("REMOVE b", "REMOVE b SET #sloctl_ctx = :sloctl_ctx"),
            ("ADD reset :n", "ADD reset :n SET #sloctl_ctx = :sloctl_ctx"),
        ],
    )
    def test_an_update_sets_the_map_too(self, context: RequestContext, expression: str, result: str) -> None:
        values = {":a": {"S": "x"}}
        update: dict[str, Any] = {
            "Key": {"id": {"S": "1"}},
            "UpdateExpression": expression,
            "ExpressionAttributeValues": values,
        }
        assert dynamodb.inject_update(update).ok
        assert update["UpdateExpression"] == result
        assert update["ExpressionAttributeNames"] == {"#sloctl_ctx": "_ctx"}
        assert list(values) == [":a"]
        assert dynamodb.inject_update(update).ok
        assert update["UpdateExpression"] == result

    def test_an_update_in_the_old_form_stays_as_it_is(self, context: RequestContext) -> None:
        update: dict[str, Any] = {"Key": {"id": "1"}, "AttributeUpdates": {}}
        assert dynamodb.inject_update(update).skipped == "no update expression"
        assert update == {"Key": {"id": "1"}, "AttributeUpdates": {}}


class TestKafka:
    def test_headers_are_bytes_and_replace_older_ones(self, context: RequestContext) -> None:
        headers = kafka.headers([("other", b"1"), ("X-Request-ID", b"older-id-1"), ("x-request-id", b"older-id-2")])
        assert headers[0] == ("other", b"1")
        assert [name.lower() for name, _ in headers].count("x-request-id") == 1
        assert all(isinstance(value, bytes) for _, value in headers)
        expected(kafka.extract(headers).fields)

    def test_the_last_of_several_counts_and_no_headers_are_none(self) -> None:
        assert kafka.extract([("x-request-id", b"first-id"), ("x-request-id", b"second-id")]).fields == {
            "x-request-id": "second-id"
        }
        assert kafka.extract(None).fields == {}
        assert kafka.extract([("x-request-id", None), ("traceparent", b"\xff" * 20_000)]).fields == {}

    @pytest.mark.parametrize("others", [None, {}, {"tenant": b"acme"}, [("tenant", "acme")], [["tenant", None]]])
    def test_headers_of_a_producer_in_each_shape(self, context: RequestContext, others: Any) -> None:
        headers = kafka.headers(others)
        assert all(isinstance(pair, tuple) and len(pair) == 2 for pair in headers)
        assert [name for name, _ in headers].count("tenant") == len(others or ())
        expected(kafka.extract(headers).fields)
        expected(kafka.extract(dict(headers)).fields)

    def test_a_dict_is_changed_in_place(self, context: RequestContext) -> None:
        headers: dict[str, Any] = {"tenant": b"acme", "X-Request-ID": b"older-id-1"}
        assert kafka.inject(headers).ok
        assert headers["tenant"] == b"acme"
        assert "X-Request-ID" not in headers
        expected(kafka.extract(headers).fields)

    def test_a_record_of_each_client(self, context: RequestContext) -> None:
        headers = kafka.headers()

        class Message:
            """As of confluent-kafka."""

            def headers(self) -> Any:
                return headers

            def topic(self) -> str:
                return "orders"

        record = SimpleNamespace(headers=tuple(headers), topic="orders")  # kafka-python, aiokafka
        for source in (Message(), record):
            incoming = kafka.extract(source)
            expected(incoming.fields)
            assert incoming.destination == "orders"
        assert kafka.extract(SimpleNamespace(headers=None)).fields == {}

    @pytest.mark.parametrize("others", ["tenant", 7, ["tenant"], [("a", b"b", b"c")], object()])
    def test_what_is_no_headers_is_refused_by_name(self, others: Any) -> None:
        with pytest.raises(TypeError, match="headers are a mapping"):
            kafka.headers(others)


class TestMqtt:
    def test_user_properties_of_version_five(self, context: RequestContext) -> None:
        properties = mqtt.user_properties([("other", "1"), ("x-request-id", "older-id-1")])
        assert properties[0] == ("other", "1")
        expected(mqtt.extract(properties).fields)

    @pytest.mark.parametrize("data", [b'{"a": 1}', '{"a": 1}'])
    def test_a_json_object_of_version_three(self, context: RequestContext, data: Any) -> None:
        payload = mqtt.inject_payload(data)
        assert payload.outcome.ok
        expected(mqtt.extract(None, payload.data).fields)

    def test_an_envelope_of_version_three(self, context: RequestContext) -> None:
        assert mqtt.inject_payload(b"21.5").data == b"21.5"
        payload = mqtt.inject_payload(b"21.5", envelope=True)
        expected(mqtt.extract(None, payload.data).fields)
        assert mqtt.payload(payload.data) == b"21.5"


class TestTextMap:
    @pytest.mark.parametrize("carrier", [mapping, redis, rabbitmq, nats])
    def test_headers_by_the_transports_name(self, context: RequestContext, carrier: TextMap) -> None:
        entry = {"order": "1"}
        assert carrier.inject(entry).ok
        assert entry["order"] == "1"
        expected({key: value for key, value in entry.items() if key != "order"})
        incoming = carrier.extract({key.encode(): value.encode() for key, value in entry.items()})
        assert incoming.transport == carrier.transport
        expected(incoming.fields)
        assert carrier.headers(entry) == carrier.headers({"order": "1"})

    @pytest.mark.parametrize("source", [None, {}, SimpleNamespace(headers=None), {"x-request-id": 7, 3: b"\xff"}])
    def test_a_message_of_a_stranger_is_no_failure(self, source: Any) -> None:
        assert mapping.extract(source).fields == {}

    def test_received_messages_say_where_they_were_sent_to(self, context: RequestContext) -> None:
        message = SimpleNamespace(headers=nats.headers(), subject="orders.new", routing_key="orders")
        assert nats.extract(message).destination == "orders.new"
        assert rabbitmq.extract(message).destination == "orders"
        expected(nats.extract(message).fields)

    def test_lists_and_publish_subscribe_of_redis_have_payloads_only(self, context: RequestContext) -> None:
        payload = redis.inject_payload(b'{"order": 1}')
        assert payload.outcome.ok
        expected(redis.extract_payload(payload.data).fields)
        wrapped = redis.inject_payload("21.5", envelope=True)
        assert redis.payload(wrapped.data) == "21.5"


def _bytes(data: bytes | str) -> bytes:
    return data if isinstance(data, bytes) else data.encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["MessageAttributes", "messageAttributes", "Body", "body", "Attributes", "_ctx", "detail", "Data", "kinesis",
     "dynamodb", "NewImage", "OldImage", "eventName", "Sns", "data", "M", "StringValue", "AWSTraceHeader"]
)  # fmt: skip
MESSAGE = st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)), max_size=5)


@pytest.mark.property
@given(MESSAGE)
@pytest.mark.allows_failed_steps
def test_no_message_however_malformed_raises_or_is_changed(message: dict[str, Any]) -> None:
    before = repr(message)
    readers: Any = (sqs.extract, sns.extract, eventbridge.extract, kinesis.extract, dynamodb.extract,
                    dynamodb.extract_item, kafka.extract, mapping.extract, http.extract)  # fmt: skip
    for extract in readers:
        extract(message)
    assert repr(message) == before


@pytest.mark.property
@given(MESSAGE)
@pytest.mark.allows_failed_steps
def test_injecting_into_anything_never_raises_and_skips_or_succeeds(message: dict[str, Any]) -> None:
    with entered(RequestContext(ID)):
        writers: Any = (sqs.inject, sns.inject, eventbridge.inject, kinesis.inject, dynamodb.inject_update)
        for inject in writers:
            copied = copy.deepcopy(message)
            outcome = inject(copied)
            assert outcome.ok or repr(copied) == repr(message)
