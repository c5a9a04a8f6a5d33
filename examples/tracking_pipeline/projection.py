"""Keeps the read store up to date: the last position of each shipment, with the context of who wrote it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from examples.tracking_pipeline.mqtt import connected
from examples.tracking_pipeline.settings import LOG, POSITIONS, TENANTS, Settings, tenant_of
from examples.tracking_pipeline.switches import Switches
from sloctl.instrumentation import Runtime, carriers, consume


def run(settings: Settings, runtime: Runtime, switches: Switches) -> None:
    import redis
    from prometheus_client import Counter, Gauge

    registry = runtime.registry
    updated = Gauge("tracking_last_update_timestamp_seconds", "Last change.", ["tenant"], registry=registry)
    writes = Counter("db_client_operations", "Calls.", ("system", "operation", "outcome"), registry=registry)
    outcomes = {outcome: writes.labels("read-store", "write", outcome) for outcome in ("success", "error")}
    store = redis.Redis(port=settings.ports["redis"], decode_responses=True)
    tenants = {tenant: updated.labels(tenant) for tenant in TENANTS}
    for gauge in tenants.values():
        gauge.set_to_current_time()

    def update(position: dict[str, Any]) -> None:
        shipment = position["shipment"]
        record: dict[Any, Any] = {"latitude": str(position["latitude"]), "longitude": str(position["longitude"])}
        carriers.redis.inject(record)
        store.hset(f"shipment:{shipment}", mapping=record)
        tenants[tenant_of(shipment)].set_to_current_time()
        LOG.info("updated %s", shipment)

    def received(_client: Any, _data: Any, message: Any) -> None:
        if switches.on("stale"):
            return
        incoming = carriers.mqtt.extract(getattr(message.properties, "UserProperty", None))
        with suppress(Exception), consume(incoming, name="update read store", runtime=runtime):
            try:
                update(json.loads(message.payload))
            except Exception:
                outcomes["error"].inc()
                LOG.exception("the read store could not be updated")
                raise
            outcomes["success"].inc()

    client = connected(settings, "projection")
    client.on_message = received
    client.subscribe(POSITIONS, qos=1)
    client.loop_forever()
