"""Real brokers on sockets: what a sender puts into a message, the receiver continues."""

import json
import queue
import time
from collections.abc import Iterator
from shutil import which
from typing import Any

import pika
import pytest
import redis
from confluent_kafka import Consumer, Producer
from nats import connect
from opentelemetry.trace import SpanKind
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sloctl.instrumentation import RequestContext, carriers, consume, produce
from sloctl.instrumentation.context import entered
from testing import databases
from testing.brokers import kafka, mock_kafka, mosquitto, nats
from testing.servers import PATIENCE, ROOT
from tests.conftest import program
from tests.instrumentation.conftest import Configure

pytestmark = pytest.mark.server
ID = "request-0001"


@pytest.fixture(scope="module")
def mqtt_port() -> Iterator[int]:
    program("mosquitto")
    with mosquitto() as port:
        yield port


@pytest.mark.parametrize("cluster", [mock_kafka, kafka])
def test_kafka_carries_headers_and_a_redelivered_record_keeps_its_id(observed: Configure, cluster: Any) -> None:
    if cluster is kafka and not ((ROOT / ".cache" / "kafka").is_dir() and which("java")):
        pytest.skip("no .cache/kafka; `make .cache/kafka` fetches it where Java and Maven are")
    there = observed()
    with cluster() as servers:
        producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
        with entered(RequestContext(ID)):
            for others in ([("other", b"1")], {"other": b"1"}, None):
                producer.produce("topic", b"x", headers=carriers.kafka.headers(others))
        assert producer.flush(PATIENCE) == 0
        seen = []
        for group in ("first", "again"):
            settings = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
            consumer = Consumer(settings)
            consumer.subscribe(["topic"])
            for _ in range(3):
                with consume(carriers.kafka.extract(next_record(consumer)), runtime=there.runtime) as context:
                    seen.append(context.request_id)
            consumer.close()
    assert seen == [ID] * 6
    assert {span.name for span in there.spans} == {"process topic"}
    assert len({span.get_span_context().span_id for span in there.spans}) == 6  # type: ignore[union-attr]


def next_record(consumer: Any) -> Any:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            return message
    raise AssertionError("no record came")


def connected(port: int, version: Any) -> tuple[Client, "queue.Queue[Any]"]:
    """A subscribed client and what it receives."""
    received: queue.Queue[Any] = queue.Queue()
    subscribed: queue.Queue[None] = queue.Queue()
    client = Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.on_message = lambda _client, _data, message: received.put(message)
    client.on_subscribe = lambda *_: subscribed.put(None)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe("t", qos=1)
    subscribed.get(timeout=PATIENCE)
    return client, received


def test_mqtt_5_carries_user_properties_which_a_3_1_1_subscriber_loses(observed: Configure, mqtt_port: int) -> None:
    observed()
    five, to_five = connected(mqtt_port, MQTTv5)
    three, to_three = connected(mqtt_port, MQTTv311)
    with entered(RequestContext(ID)):
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = carriers.mqtt.user_properties([("other", "1")])
        five.publish("t", b"21.5", qos=1, properties=properties)
    message = to_five.get(timeout=PATIENCE)
    assert message.payload == b"21.5"
    assert carriers.mqtt.extract(message.properties.UserProperty).fields["x-request-id"] == ID
    lost = to_three.get(timeout=PATIENCE)
    assert carriers.mqtt.extract(None, lost.payload).fields == {}
    stop(five, three)


def test_mqtt_3_1_1_carries_it_in_the_payload(observed: Configure, mqtt_port: int) -> None:
    observed()
    three, received = connected(mqtt_port, MQTTv311)
    with entered(RequestContext(ID)):
        three.publish("t", carriers.mqtt.inject_payload(b'{"t": 21.5}').data, qos=1)
        three.publish("t", carriers.mqtt.inject_payload(b"21.5", envelope=True).data, qos=1)
    first, second = (received.get(timeout=PATIENCE).payload for _ in range(2))
    assert json.loads(first)["t"] == 21.5
    assert carriers.mqtt.payload(second) == b"21.5"
    for payload in (first, second):
        assert carriers.mqtt.extract(None, payload).fields["x-request-id"] == ID
    stop(three)


def test_a_retained_message_is_linked_to_whoever_sent_it_and_continues_nothing(
    observed: Configure, mqtt_port: int
) -> None:
    there = observed()
    publisher, live = connected(mqtt_port, MQTTv5)
    with there.runtime.tracer.start_as_current_span("work"), entered(RequestContext(ID)):
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = carriers.mqtt.user_properties()
        publisher.publish("t", b"21.5", qos=1, retain=True, properties=properties)
    messages = [live.get(timeout=PATIENCE)]
    later, received = connected(mqtt_port, MQTTv5)
    messages.append(received.get(timeout=PATIENCE))
    for message in messages:
        incoming = carriers.mqtt.extract(message.properties.UserProperty, retained=message.retain)
        with consume(incoming, name="show", runtime=there.runtime) as context:
            assert context.request_id == ID
    assert [(span.parent is None, len(span.links)) for span in there.spans if span.name == "show"] == [
        (False, 0),
        (True, 1),
    ]
    publisher.publish("t", b"", qos=1, retain=True)  # it is forgotten
    stop(publisher, later)


def stop(*clients: Client) -> None:
    for client in clients:
        client.disconnect()
        client.loop_stop()


@pytest.mark.xdist_group("rabbitmq")
def test_rabbitmq_carries_headers_also_of_a_message_that_comes_again(observed: Configure, rabbitmq_port: int) -> None:
    there, seen = observed(), []
    with pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", rabbitmq_port)) as connection:
        channel = connection.channel()
        channel.queue_declare("orders")
        working = there.runtime.tracer.start_as_current_span("work")
        request = entered(RequestContext(ID, tenant_id="acme"))
        with working, request, produce("rabbitmq", "orders", runtime=there.runtime):
            headers = carriers.rabbitmq.headers({"mine": 1})
            channel.basic_publish("", "orders", b"x", pika.BasicProperties(headers=headers))
        channel.basic_publish("", "orders", b"of a stranger")
        for requeued in (True, False, False):
            method, properties, body = got(lambda: channel.basic_get("orders"))
            incoming = carriers.rabbitmq.extract(properties)
            with consume(incoming, destination=method.routing_key, runtime=there.runtime) as context:
                seen.append((body, context.request_id == ID, context.tenant_id, method.redelivered))
            channel.basic_nack(method.delivery_tag) if requeued else channel.basic_ack(method.delivery_tag)
    assert seen == [
        (b"x", True, "acme", False),
        (b"x", True, "acme", True),
        (b"of a stranger", False, None, False),
    ]
    sent, *received = (span for span in there.spans if span.name != "work")
    assert (sent.name, sent.kind) == ("send orders", SpanKind.PRODUCER)
    parents = [span.parent.span_id if span.parent else None for span in received]
    assert parents == [sent.get_span_context().span_id] * 2 + [None]  # type: ignore[union-attr]
    assert [span.name for span in received] == ["process orders"] * 3


def got(ask: Any) -> Any:
    """What a broker has, as soon as it has something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = ask()
        if answer[0] is not None:
            return answer
        time.sleep(0.02)
    raise AssertionError("no message came")


@pytest.mark.anyio
async def test_nats_carries_headers_of_core_and_of_jetstream(observed: Configure) -> None:
    program("nats-server")
    there, seen = observed(), []
    with nats() as port:
        client = await connect(f"nats://127.0.0.1:{port}")
        subscription = await client.subscribe("orders.new")
        stream = client.jetstream()
        await stream.add_stream(name="orders", subjects=["stored.*"])
        pull = await stream.pull_subscribe("stored.new", "worker")
        with entered(RequestContext(ID)):
            await client.publish("orders.new", b"x", headers=carriers.nats.headers({"mine": "1"}))
            await stream.publish("stored.new", b"x", headers=carriers.nats.headers())
        await client.publish("orders.new", b"of a stranger")
        messages = [await subscription.next_msg(PATIENCE) for _ in range(2)] + await pull.fetch(1, PATIENCE)
        await messages[2].nak()
        messages += await pull.fetch(1, PATIENCE)
        for message in messages:
            with consume(carriers.nats.extract(message), runtime=there.runtime) as context:
                seen.append((message.subject, context.request_id == ID))
        await client.close()
    assert seen == [("orders.new", True), ("orders.new", False), ("stored.new", True), ("stored.new", True)]
    assert there.value("messaging_process_duration_seconds_count", messaging_destination_name="stored.new") == 2


def test_redis_carries_it_in_streams_lists_and_publish_subscribe(observed: Configure) -> None:
    program("redis-server")
    there = observed()
    with databases.redis() as port, redis.Redis(port=port) as client, client.pubsub() as subscriber:
        subscriber.subscribe("channel")
        assert subscriber.get_message(timeout=PATIENCE) is not None
        client.xgroup_create("stream", "workers", mkstream=True)
        with entered(RequestContext(ID)):
            entry: dict[Any, Any] = {"order": "1"}
            assert carriers.redis.inject(entry).ok
            client.xadd("stream", entry)
            client.lpush("list", carriers.redis.inject_payload(b'{"order": 1}').data)
            client.publish("channel", carriers.redis.inject_payload(b"21.5", envelope=True).data)
        ((_, ((first, _),)),) = client.xreadgroup("workers", "a", {"stream": ">"})
        _, ((again, fields),), _ = client.xautoclaim("stream", "workers", "b", 0)
        assert first == again
        listed, message = client.rpop("list"), subscriber.get_message(timeout=PATIENCE)
    assert message is not None
    assert carriers.redis.payload(message["data"]) == b"21.5"
    payloads = [carriers.redis.extract_payload(data) for data in (listed, message["data"])]
    for incoming in (carriers.redis.extract(fields), *payloads):
        with consume(incoming, destination="d", runtime=there.runtime) as context:
            assert (context.request_id, context.origin) == (ID, "redis")
