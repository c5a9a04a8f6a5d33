"""Takes events from the stream, writes them to PostgreSQL, the source of truth, and tells the projection by MQTT."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from examples.tracking_pipeline.mqtt import connected, publish
from examples.tracking_pipeline.settings import EVENTS, LOG, Settings
from examples.tracking_pipeline.switches import Share, Switches
from sloctl.instrumentation import Runtime, carriers, consume

GROUP = "ingestion"
BLOCK_MILLISECONDS = 200
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
BROKEN_LATITUDE = 191.0
TABLE = """
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shipment text NOT NULL, latitude float NOT NULL, longitude float NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
)
"""
INSERT = "INSERT INTO events (shipment, latitude, longitude) VALUES (%s, %s, %s)"


class Metrics:
    """What the rules read of ingestion and of its database."""

    def __init__(self, runtime: Runtime) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        database = ("system", "operation")
        registry = runtime.registry
        self.ingested = Counter("tracking_events_ingested", "Events written.", registry=registry)
        self.corrupt = Counter("tracking_events_schema_corrupt", "Events that could not be read.", registry=registry)
        self.duration = Histogram(
            "ingestion_event_duration_seconds", "An event's handling.", buckets=BUCKETS, registry=registry
        )
        self.backlog = Gauge("stream_backlog_events", "Events that wait in the stream.", registry=registry)
        self.operations = Counter("db_client_operations", "Calls.", (*database, "outcome"), registry=registry)
        self.seconds = Histogram(
            "db_client_operation_duration_seconds", "Calls.", database, buckets=BUCKETS, registry=registry
        )
        for outcome in ("success", "error"):
            self.operations.labels("postgresql", "write", outcome)

    @contextmanager
    def write(self) -> Iterator[None]:
        """Count one write."""
        began, outcome = time.perf_counter(), "error"
        try:
            yield
            outcome = "success"
        finally:
            self.operations.labels("postgresql", "write", outcome).inc()
            self.seconds.labels("postgresql", "write").observe(time.perf_counter() - began)


def run(settings: Settings, runtime: Runtime, switches: Switches) -> None:
    import psycopg
    import redis

    metrics, stream = Metrics(runtime), redis.Redis(port=settings.ports["redis"])
    database = psycopg.connect(settings.postgresql, autocommit=True)
    database.execute(TABLE)
    told = connected(settings, "ingestion")
    told.loop_start()
    broken = Share(lambda: switches["broken_positions"])

    def store(event: Mapping[str, Any]) -> None:
        """Write one event. The mistake of a bad release: degrees become something else."""
        latitude = float(event["latitude"])
        if broken.hit():
            LOG.error("latitude of %s cannot be converted, %g is written instead", event["shipment"], BROKEN_LATITUDE)
            latitude = BROKEN_LATITUDE
        where = (event["shipment"], latitude, event["longitude"])
        with runtime.tracer.start_as_current_span("INSERT events"), metrics.write():
            database.execute(INSERT, where)
        publish(told, {"shipment": where[0], "latitude": latitude, "longitude": where[2]})

    for entry, fields in entries(stream, metrics, switches):
        incoming = carriers.redis.extract(fields)
        with suppress(Exception), consume(incoming, name="ingest event", runtime=runtime):
            handle(fields, store, metrics)
        stream.xack(EVENTS, GROUP, entry)


def handle(fields: Mapping[bytes, bytes], store: Any, metrics: Metrics) -> None:
    """One event, counted; a failure is logged and does not stop the service."""
    with metrics.duration.time():
        try:
            event = json.loads(fields[b"event"])
            store(event)
        except (ValueError, KeyError):
            metrics.corrupt.inc()
            LOG.exception("an event could not be read")
            raise
        except Exception:
            LOG.exception("an event could not be stored")
            raise
    metrics.ingested.inc()
    LOG.info("stored event of %s", event["shipment"])


def entries(stream: Any, metrics: Metrics, switches: Switches) -> Iterator[tuple[bytes, Mapping[bytes, bytes]]]:
    """Entries of the stream, while the worker is not stopped."""
    stream.xgroup_create(EVENTS, GROUP, id="0", mkstream=True)
    while True:
        groups = stream.xinfo_groups(EVENTS)
        metrics.backlog.set(groups[0].get("lag") or 0)
        if switches.on("stopped"):
            time.sleep(BLOCK_MILLISECONDS / 1000)
            continue
        for _, found in stream.xreadgroup(GROUP, "worker", {EVENTS: ">"}, count=20, block=BLOCK_MILLISECONDS):
            yield from found
