"""What every service of the pipeline is told by its environment, and what each sets up with it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from sloctl.instrumentation import JsonFormatter, Runtime, configure

T = TypeVar("T")
LOG = logging.getLogger("pipeline")
SERVICES = ("edge", "orders", "booking", "routing", "stream", "projection", "notifier", "gateway")
TRANSPORTS = ("http", "sns", "eventbridge", "kinesis", "dynamodb", "kafka", "mqtt")


@dataclass(frozen=True)
class Settings:
    """Addresses of everything, and where logs and spans go."""

    aws: str
    kafka: str
    mqtt_port: int
    edge_port: int
    orders_port: int
    output: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        return cls(
            aws=environment["PIPELINE_AWS"],
            kafka=environment["PIPELINE_KAFKA"],
            mqtt_port=int(environment["PIPELINE_MQTT_PORT"]),
            edge_port=int(environment["PIPELINE_EDGE_PORT"]),
            orders_port=int(environment["PIPELINE_ORDERS_PORT"]),
            output=Path(environment["PIPELINE_OUTPUT"]),
        )

    def environment(self) -> dict[str, str]:
        return {
            "PIPELINE_AWS": self.aws,
            "PIPELINE_KAFKA": self.kafka,
            "PIPELINE_MQTT_PORT": str(self.mqtt_port),
            "PIPELINE_EDGE_PORT": str(self.edge_port),
            "PIPELINE_ORDERS_PORT": str(self.orders_port),
            "PIPELINE_OUTPUT": str(self.output),
        }

    @property
    def spans(self) -> Path:
        return self.output / "spans.jsonl"

    def log(self, service: str) -> Path:
        return self.output / f"{service}.log.jsonl"


def set_up(service: str, settings: Settings) -> Runtime:
    """One runtime, one JSON log file and one shared file of spans."""
    spans = settings.spans.open("a", encoding="utf-8", buffering=1)
    exporter = ConsoleSpanExporter(out=spans, formatter=lambda span: span.to_json(indent=None) + "\n")
    runtime = configure(
        service,
        "example",
        cluster="van",
        pod=f"{service}-0",
        processors=[SimpleSpanProcessor(exporter)],
        baggage=["plan"],
        internal_hosts=["127.0.0.1"],
    )
    handler = logging.FileHandler(settings.log(service), encoding="utf-8")
    handler.setFormatter(JsonFormatter(runtime))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in ("httpx", "botocore", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return runtime


def send(parcel: Mapping[str, Any], transport: str, action: Callable[[], T]) -> T:
    """Send a parcel on; `without` names a transport that is to lose the context, to show what then happens."""
    if parcel.get("without") == transport:
        return contextvars.Context().run(action)
    return action()


async def send_async(parcel: Mapping[str, Any], transport: str, action: Callable[[], Awaitable[T]]) -> T:
    """The same for a coroutine."""

    async def run() -> T:
        return await action()

    if parcel.get("without") == transport:
        return await asyncio.create_task(run(), context=contextvars.Context())
    return await run()
