"""The eight services. `python -m examples.parcels.services NAME` runs one of them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from examples.parcels.settings import LOG, Settings, send, send_async, set_up
from sloctl.instrumentation import Runtime, boto, carriers, consume, current, instrument_app, instrument_httpx
from sloctl.instrumentation.carriers import Incoming

POLL_SECONDS = 0.05
Parcel = dict[str, Any]


def edge(settings: Settings, runtime: Runtime) -> None:
    """Where clients call: hands a shipment to orders."""
    import httpx
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.orders_port}")
    instrument_httpx(client, runtime)
    instrument_app(app, runtime, trust="edge", tenants=["acme"])

    @app.post("/shipments")
    async def ship(parcel: Parcel) -> Any:
        request = current()
        if request is not None:
            request.set_tenant("acme")  # an example: a real edge takes it from a verified token
        LOG.info("shipment of %s accepted", parcel["parcel"])
        return (await send_async(parcel, "http", lambda: client.post("/orders", json=parcel))).json()

    uvicorn.run(app, host="127.0.0.1", port=settings.edge_port, log_config=None)


def orders(settings: Settings, runtime: Runtime) -> None:
    """Books a shipment. Its mistake: a missing weight becomes -1 and goes on."""
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    instrument_app(app, runtime, trust="internal", tenants=["acme"])
    sns = aws(settings, "sns")
    topic = sns.create_topic(Name="booked")["TopicArn"]

    @app.post("/orders")
    def book(parcel: Parcel) -> Parcel:
        if parcel.get("weight") is None:
            LOG.error("weight of %s is missing, -1 is booked instead", parcel["parcel"])
            parcel["weight"] = -1
        send(parcel, "sns", lambda: sns.publish(TopicArn=topic, Message=json.dumps(parcel)))
        return {"booked": parcel["parcel"]}

    uvicorn.run(app, host="127.0.0.1", port=settings.orders_port, log_config=None)


def booking(settings: Settings, runtime: Runtime) -> None:
    """From the queue below SNS to EventBridge."""
    events = aws(settings, "events")

    def pass_on(parcel: Parcel) -> None:
        entry = {"Source": "booking", "DetailType": "parcel", "Detail": json.dumps(parcel)}
        send(parcel, "eventbridge", lambda: events.put_events(Entries=[entry]))

    for message in queue(settings, "booked"):
        parcel = json.loads(json.loads(message["Body"])["Message"])
        handle(carriers.sqs.extract(message), "book parcel", runtime, parcel, pass_on)


def routing(settings: Settings, runtime: Runtime) -> None:
    """From the queue below EventBridge to Kinesis."""
    kinesis = aws(settings, "kinesis")

    def pass_on(parcel: Parcel) -> None:
        record = {"StreamName": "parcels", "Data": json.dumps(parcel), "PartitionKey": parcel["parcel"]}
        send(parcel, "kinesis", lambda: kinesis.put_record(**record))

    for message in queue(settings, "routed"):
        parcel = own(json.loads(message["Body"])["detail"])
        handle(carriers.sqs.extract(message), "route parcel", runtime, parcel, pass_on)


def stream(settings: Settings, runtime: Runtime) -> None:
    """From Kinesis to DynamoDB."""
    kinesis, dynamodb = aws(settings, "kinesis"), aws(settings, "dynamodb")
    shard = kinesis.describe_stream(StreamName="parcels")["StreamDescription"]["Shards"][0]["ShardId"]
    where = {"StreamName": "parcels", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}

    def pass_on(parcel: Parcel) -> None:
        item = {"parcel": {"S": parcel["parcel"]}, "data": {"S": json.dumps(parcel)}}
        send(parcel, "dynamodb", lambda: dynamodb.put_item(TableName="parcels", Item=item))

    for record in records(kinesis, kinesis.get_shard_iterator(**where)["ShardIterator"]):
        parcel = own(json.loads(record["Data"]))
        handle(carriers.kinesis.extract(record), "store parcel", runtime, parcel, pass_on)


def projection(settings: Settings, runtime: Runtime) -> None:
    """From the table's stream to Kafka."""
    from confluent_kafka import Producer

    dynamodb, streams = aws(settings, "dynamodb"), aws(settings, "dynamodbstreams")
    arn = dynamodb.describe_table(TableName="parcels")["Table"]["LatestStreamArn"]
    shard = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    where = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    producer = Producer({"bootstrap.servers": settings.kafka, "linger.ms": 0})

    def produce(parcel: Parcel) -> None:
        producer.produce("parcels", json.dumps(parcel), headers=carriers.kafka.headers())
        producer.flush(5)

    for record in records(streams, streams.get_shard_iterator(**where)["ShardIterator"]):
        parcel = json.loads(record["dynamodb"]["NewImage"]["data"]["S"])
        incoming = carriers.dynamodb.extract(record)
        handle(incoming, "project parcel", runtime, parcel, lambda each: send(each, "kafka", lambda: produce(each)))


def notifier(settings: Settings, runtime: Runtime) -> None:
    """From Kafka to MQTT."""
    from confluent_kafka import Consumer

    client = mqtt(settings)
    client.loop_start()
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": "notifier", "auto.offset.reset": "earliest"})
    consumer.subscribe(["parcels"])
    while True:
        message = consumer.poll(POLL_SECONDS)
        if message is None or message.error() or (value := message.value()) is None:
            continue
        parcel = json.loads(value)
        incoming = carriers.kafka.extract(message.headers())
        handle(incoming, "notify van", runtime, parcel, lambda each: send(each, "mqtt", lambda: publish(client, each)))


def gateway(settings: Settings, runtime: Runtime) -> None:
    """In the van: cannot show a parcel that weighs less than nothing."""
    client = mqtt(settings)

    def show(parcel: Parcel) -> None:
        if parcel["weight"] < 0:
            raise ValueError(f"{parcel['parcel']} weighs {parcel['weight']}")

    def received(_client: Any, _data: Any, message: Any) -> None:
        parcel = json.loads(message.payload)
        properties = getattr(message.properties, "UserProperty", None)
        handle(carriers.mqtt.extract(properties), "show parcel", runtime, parcel, show)

    client.on_message = received
    client.subscribe("parcels", qos=1)
    client.loop_forever()


def handle(incoming: Incoming, name: str, runtime: Runtime, parcel: Parcel, action: Callable[[Parcel], object]) -> None:
    """Handle one parcel in its context; a failure is logged and does not stop the service."""
    with suppress(Exception), consume(incoming, name=name, runtime=runtime):
        try:
            action(parcel)
        except Exception:
            LOG.exception("%s of %s failed", name, parcel["parcel"])
            raise
        LOG.info("%s %s", name, parcel["parcel"])


def own(parcel: Mapping[str, Any]) -> Parcel:
    """The parcel without what the carrier added to it."""
    return {key: value for key, value in parcel.items() if key != "_ctx"}


def aws(settings: Settings, service: str) -> Any:
    """A client whose messages carry the context."""
    import boto3

    session = boto3.Session()
    boto.install(session)
    return session.client(service, endpoint_url=settings.aws)


def queue(settings: Settings, name: str) -> Iterator[dict[str, Any]]:
    """Messages of a queue, each deleted once it was handled."""
    sqs = aws(settings, "sqs")
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    while True:
        for message in sqs.receive_message(QueueUrl=url).get("Messages", ()):
            yield message
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        time.sleep(POLL_SECONDS)


def records(client: Any, iterator: str) -> Iterator[dict[str, Any]]:
    """Records of a shard of Kinesis or of a table's stream, from its beginning."""
    while True:
        found = client.get_records(ShardIterator=iterator)
        yield from found["Records"]
        iterator = found["NextShardIterator"]
        time.sleep(POLL_SECONDS)


def mqtt(settings: Settings) -> Any:
    """A client that speaks MQTT 5 and is connected."""
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
    client.connect("127.0.0.1", settings.mqtt_port)
    return client


def publish(client: Any, parcel: Parcel) -> None:
    """Publish with the context as user properties."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties: Any = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = carriers.mqtt.user_properties()
    client.publish("parcels", json.dumps(parcel), qos=1, properties=properties).wait_for_publish(5)


RUN = {
    "edge": edge,
    "orders": orders,
    "booking": booking,
    "routing": routing,
    "stream": stream,
    "projection": projection,
    "notifier": notifier,
    "gateway": gateway,
}


def main(name: str) -> None:
    settings = Settings.from_environment()
    RUN[name](settings, set_up(name, settings))


if __name__ == "__main__":
    main(sys.argv[1])
