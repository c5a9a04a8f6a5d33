"""Brokers on free loopback ports, stopped when their `with` block ends: AWS (moto), Kafka, MQTT, RabbitMQ, NATS.

Redis is in `testing.databases`.
"""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx

from testing.servers import PATIENCE, ROOT, ServerError, answers, find_program, free_port, listens, running

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
    """A Kafka of the jars in `.cache/kafka/`, one process for everything (KRaft); yields its bootstrap server.

    Raises:
        ServerError: there is no Java or no Kafka here, or it did not start.
    """
    jars, java = ROOT / ".cache" / "kafka", find_program("java")
    if not jars.is_dir():
        raise ServerError("no .cache/kafka; `make .cache/kafka` fetches it where Java and Maven are")
    port, controller = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="sloctl-kafka-") as name:
        folder = Path(name)
        settings = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "log.dirs": folder / "data",
            "offsets.topic.num.partitions": 1,
            "offsets.topic.replication.factor": 1,
            "group.initial.rebalance.delay.ms": 0,
        }
        properties = folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        run: list[str | Path] = [java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
        cluster = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        formatting = [*run, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties]
        subprocess.run(formatting, capture_output=True, check=True, timeout=PATIENCE)
        with running("Kafka", [*run, "kafka.Kafka", properties], folder / "kafka.log") as process:
            process.wait_for(lambda: listens(port), "it listens")
            yield f"127.0.0.1:{port}"


@contextmanager
def mock_kafka() -> Iterator[str]:
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


@contextmanager
def nats() -> Iterator[int]:
    """NATS with JetStream; yields its port."""
    program, port = find_program("nats-server"), free_port()
    with tempfile.TemporaryDirectory(prefix="sloctl-nats-") as folder:
        words = ["--addr", "127.0.0.1", "--port", str(port), "--jetstream", "--store_dir", folder]
        with running("NATS", [program, *words], Path(folder, "nats.log")) as process:
            process.wait_for(lambda: listens(port), "it listens")
            yield port


@contextmanager
def rabbitmq() -> Iterator[int]:
    """RabbitMQ out of `.cache/debian/`, with an Erlang port mapper of its own, which ends with it; yields its port."""
    root = find_program("erl").parents[2]
    erts = next(root.glob("usr/lib/erlang/erts-*/bin"))
    server = next(root.glob("usr/lib/rabbitmq/lib/*/sbin/rabbitmq-server"))
    port, mapper, distribution = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="sloctl-rabbitmq-") as name:
        folder = Path(name)
        erl = folder / "bin" / "erl"
        erl.parent.mkdir()
        # Debian's own says /usr/lib/erlang.
        erl.write_text(f"""#!/bin/sh
ROOTDIR={erts.parents[1]} BINDIR={erts} EMU=beam PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
""")
        erl.chmod(0o755)
        settings = {
            "HOME": name,  # the cookie
            "PATH": f"{erl.parent}:{os.environ['PATH']}",
            "ERL_EPMD_PORT": mapper,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"sloctl-{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": port,
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "data",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": folder / "none",
            "RABBITMQ_CONF_ENV_FILE": folder / "none",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "none",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false",
        }
        around = ["env", *(f"{key}={value}" for key, value in settings.items())]
        with running("epmd", [*around, erts / "epmd"], folder / "epmd.log") as port_mapper:
            port_mapper.wait_for(lambda: listens(mapper), "it listens")
            with running("RabbitMQ", [*around, server], folder / "rabbitmq.log") as process:
                process.wait_for(lambda: listens(port), "it listens")
                yield port
