"""What every service is told, and what each sets up with it: addresses, JSON logs, spans, metrics and switches."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

from sloctl.instrumentation import JsonFormatter, Runtime, configure

LOG = logging.getLogger("pipeline")
STABLE: Final = "5c577d9f4"
CANARY: Final = "7ddf8b6c1"
"""Hashes of the two versions' pods, as Argo Rollouts would name them."""
TENANTS: Final = tuple(f"tenant-{number:02}" for number in range(1, 21))
SHIPMENTS: Final = tuple(f"shipment-{number:02}" for number in range(1, 41))
EVENTS: Final = "events"
POSITIONS: Final = "positions"
"""Redis stream from the gateway to ingestion, and MQTT topic from there to the projection."""


def tenant_of(shipment: str) -> str:
    """Who owns a shipment; each tenant has two."""
    return TENANTS[SHIPMENTS.index(shipment) % len(TENANTS)]


@dataclass(frozen=True)
class Settings:
    """Addresses of everything, and where logs and spans go.

    Attributes:
        ports: of each process on loopback, by name.
        postgresql: connection string.
    """

    ports: Mapping[str, int]
    postgresql: str
    output: Path

    @classmethod
    def read(cls, folder: Path) -> Settings:
        written = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        return cls(written["ports"], written["postgresql"], folder)

    def write(self) -> None:
        text = json.dumps(asdict(self) | {"output": str(self.output)}, indent=2)
        (self.output / "settings.json").write_text(text, encoding="utf-8")

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def log(self, process: str) -> Path:
        return self.output / f"{process}.log.jsonl"

    def spans(self, process: str) -> Path:
        return self.output / f"{process}.spans.jsonl"


def set_up(service: str, pod: str, settings: Settings) -> Runtime:
    """A runtime, a JSON log file and a file of spans for one process."""
    spans = settings.spans(pod).open("a", encoding="utf-8", buffering=1)
    exporter = ConsoleSpanExporter(out=spans, formatter=lambda span: span.to_json(indent=None) + "\n")
    runtime = configure(
        service,
        "demo",
        cluster="loopback",
        pod=pod,
        processors=[BatchSpanProcessor(exporter, schedule_delay_millis=500)],
        internal_hosts=["127.0.0.1"],
    )
    handler = logging.FileHandler(settings.log(pod), encoding="utf-8")
    handler.setFormatter(JsonFormatter(runtime))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for chatty in ("httpx", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return runtime
