"""Brokers on free loopback ports, stopped when their `with` block ends: AWS (moto), Kafka (librdkafka), MQTT."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from testing.servers import PATIENCE, answers, find_program, free_port, listens, running

REGION = "eu-west-1"
# Any credentials will do for moto; DynamoDB streams do not know endpoints with account numbers.
AWS_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def moto() -> Iterator[str]:
    """SQS, SNS, EventBridge, Kinesis and DynamoDB in a process of their own; yields the endpoint's URL."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = [f"{key}={value}" for key, value in AWS_ENVIRONMENT.items()]
    with tempfile.TemporaryDirectory(prefix="sloctl-moto-") as folder:
        log = Path(folder, "moto.log")
        with running("moto", ["env", *environment, *command], log) as process, httpx.Client(timeout=PATIENCE) as client:
            url = f"http://127.0.0.1:{port}"
            process.wait_for(lambda: answers(client, f"{url}/moto-api/"), "it is ready")
            yield url


@contextmanager
def kafka() -> Iterator[str]:
    """The mock cluster inside librdkafka, which listens on real sockets; yields its bootstrap server."""
    from confluent_kafka import Producer

    owner = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    broker = next(iter(owner.list_topics(timeout=PATIENCE).brokers.values()))
    yield f"{broker.host}:{broker.port}"
    owner.flush(1)  # the cluster lives as long as its owner


@contextmanager
def mosquitto(port: int | None = None) -> Iterator[int]:
    """Debian's MQTT broker; yields its port."""
    program = find_program("mosquitto")
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="sloctl-mosquitto-") as folder:
        config = Path(folder, "mosquitto.conf")
        user = f"user {getpass.getuser()}\n" if os.getuid() == 0 else ""
        config.write_text(f"{user}listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        with running("mosquitto", [program, "-c", config], Path(folder, "mosquitto.log")) as process:
            process.wait_for(lambda: listens(port), "it listens")
            yield port
