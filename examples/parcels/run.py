"""Run the pipeline: brokers, eight services, one request. `python -m examples.parcels.run`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from examples.parcels.settings import SERVICES, Settings
from testing.brokers import AWS_ENVIRONMENT, mock_kafka, mosquitto, moto
from testing.servers import PATIENCE, Running, answers, free_port, running


@dataclass
class Pipeline:
    """Eight running services."""

    settings: Settings
    processes: dict[str, Running]
    client: httpx.Client

    def ship(self, parcel: str, without: str | None = None) -> str:
        """Send a shipment without weight and wait until the gateway tried to show it; its request ID."""
        body = {"parcel": parcel, "weight": None, "without": without}
        response = self.client.post(f"http://127.0.0.1:{self.settings.edge_port}/shipments", json=body)
        response.raise_for_status()
        gateway = self.processes["gateway"]
        gateway.wait_for(lambda: self.arrived(parcel), f"{parcel} arrives")
        return response.headers["x-request-id"]

    def arrived(self, parcel: str) -> bool:
        """Whether the gateway said something of the parcel, and its span is written too."""
        log, spans = self.settings.log("gateway"), self.settings.spans
        said = log.exists() and f"show parcel of {parcel} failed" in log.read_text(encoding="utf-8")
        return said and f"{parcel} weighs" in spans.read_text(encoding="utf-8")

    def trace(self, request_id: str) -> subprocess.CompletedProcess[str]:
        """What `sloctl trace` says of a request."""
        logs = [self.settings.log(service) for service in SERVICES]
        command = [sys.executable, "-m", "sloctl", "trace", request_id, "--logs", *logs, "--spans", self.settings.spans]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


@contextmanager
def pipeline(output: Path) -> Iterator[Pipeline]:
    """Brokers and services, all stopped at the end; logs and spans go to the folder."""
    with ExitStack() as stack:
        settings = Settings(
            aws=stack.enter_context(moto()),
            kafka=stack.enter_context(mock_kafka()),
            mqtt_port=stack.enter_context(mosquitto()),
            edge_port=free_port(),
            orders_port=free_port(),
            output=output,
        )
        create_topology(settings.aws)
        environment = {**AWS_ENVIRONMENT, **settings.environment(), "PYTHONPATH": os.getcwd()}  # noqa: PTH109
        words = ["env", *(f"{key}={value}" for key, value in environment.items()), sys.executable]
        processes = {
            name: stack.enter_context(
                running(name, [*words, "-m", "examples.parcels.services", name], output / f"{name}.out")
            )
            for name in SERVICES
        }
        client = stack.enter_context(httpx.Client(timeout=PATIENCE))
        for name, port in (("edge", settings.edge_port), ("orders", settings.orders_port)):
            url = f"http://127.0.0.1:{port}/metrics"
            processes[name].wait_for(partial(answers, client, url), "it answers")
        yield Pipeline(settings, processes, client)


def create_topology(endpoint: str) -> None:
    """Topic, queues, rule, stream and table."""
    import boto3

    session = boto3.Session("none", "none", region_name=AWS_ENVIRONMENT["AWS_DEFAULT_REGION"])

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=endpoint)

    sqs, sns, events, kinesis = client("sqs"), client("sns"), client("events"), client("kinesis")
    arns = {}
    for name in ("booked", "routed"):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arns[name] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = sns.create_topic(Name="booked")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arns["booked"])
    events.put_rule(Name="parcels", EventPattern='{"source": ["booking"]}', State="ENABLED")
    events.put_targets(Rule="parcels", Targets=[{"Id": "routed", "Arn": arns["routed"]}])
    kinesis.create_stream(StreamName="parcels", ShardCount=1)
    client("dynamodb").create_table(
        TableName="parcels",
        KeySchema=[{"AttributeName": "parcel", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "parcel", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="sloctl-pipeline-") as folder, pipeline(Path(folder)) as running_pipeline:
        print("Eight services run. Shipping a parcel whose weight is missing ...")
        request_id = running_pipeline.ship("parcel-1")
        print(f"$ sloctl trace {request_id} --logs *.log.jsonl --spans spans.jsonl")
        print(running_pipeline.trace(request_id).stdout, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
