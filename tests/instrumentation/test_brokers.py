"""Kafka and MQTT over real sockets: headers and properties arrive as they were sent."""

import json
import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5, MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from sloctl.instrumentation import RequestContext, carriers, consume
from sloctl.instrumentation.context import entered
from testing.brokers import kafka, mosquitto
from testing.servers import PATIENCE
from tests.conftest import program
from tests.instrumentation.conftest import Configure

pytestmark = pytest.mark.server
ID = "request-0001"


@pytest.fixture(scope="module")
def mqtt_port() -> Iterator[int]:
    program("mosquitto")
    with mosquitto() as port:
        yield port


def test_kafka_carries_headers_and_a_redelivered_record_keeps_its_id(observed: Configure) -> None:
    there = observed()
    with kafka() as servers:
        producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
        with entered(RequestContext(ID)):
            producer.produce("topic", b"x", headers=carriers.kafka.headers([("other", b"1")]))
        assert producer.flush(10) == 0
        seen = []
        for group in ("first", "again"):
            settings = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
            consumer = Consumer(settings)
            consumer.subscribe(["topic"])
            message = next_record(consumer)
            with consume(carriers.kafka.extract(message.headers()), name="handle", runtime=there.runtime) as context:
                seen.append(context.request_id)
            consumer.close()
    assert seen == [ID, ID]
    assert len({span.get_span_context().span_id for span in there.spans}) == 2  # type: ignore[union-attr]


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


def stop(*clients: Client) -> None:
    for client in clients:
        client.disconnect()
        client.loop_stop()
