"""Twenty tenants who send events and ask where their shipments are, by night and by day.

A thousandth of RouteMesh's traffic; the day brings 3.4 times the night's. The load does not wait for answers: a slow
service gets as many requests as a fast one.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import time
from collections.abc import Callable
from typing import Any, Final

from examples.tracking_pipeline.settings import SHIPMENTS, Settings, tenant_of
from examples.tracking_pipeline.switches import POLL_SECONDS, Switches, watched

PEAK: Final = 3.4
DAY_SECONDS: Final = 120.0
AT_ONCE: Final = 60
KINDS: Final = {"event": 20, "track": 45, "show": 35}
"""Of a hundred requests: a vehicle's position, POST /track, GET /shipments."""


def rate(switches: Switches, now: float) -> float:
    """Requests a second at this moment."""
    day = switches["day"]
    if switches.on("diurnal"):
        day = (1 - math.cos(2 * math.pi * now / DAY_SECONDS)) / 2
    return switches["traffic"] * (1 + (PEAK - 1) * day)


async def ask(client: Any, kind: str, shipment: str) -> None:
    import httpx

    headers = {"Authorization": f"Bearer token-of-{tenant_of(shipment)}"}
    calls: dict[str, Callable[[], Any]] = {
        "event": lambda: client.post("/events", headers=headers, json=position(shipment)),
        "track": lambda: client.post("/track", headers=headers, json={"shipment": shipment}),
        "show": lambda: client.get(f"/shipments/{shipment}", headers=headers),
    }
    try:
        await calls[kind]()
    except httpx.TransportError:
        return  # a client that gets no answer tries again later; the gateway's metrics tell


def position(shipment: str) -> dict[str, object]:
    return {"shipment": shipment, "latitude": random.uniform(-60, 70), "longitude": random.uniform(-180, 180)}


def pick() -> str:
    """A shipment; those of a few tenants are asked for much more often than others."""
    return SHIPMENTS[min(int(random.expovariate(4 / len(SHIPMENTS))), len(SHIPMENTS) - 1)]


async def generate(settings: Settings, switches: Switches) -> None:
    import httpx

    vehicles = itertools.cycle(SHIPMENTS)
    tasks: set[asyncio.Task[None]] = set()
    began = looked = time.monotonic()
    owed = 0.0
    async with httpx.AsyncClient(base_url=settings.url("gateway"), timeout=10) as client:
        for shipment in SHIPMENTS:
            await ask(client, "event", shipment)
        while True:
            now, per_second = time.monotonic(), rate(switches, looked - began)
            owed, looked = min(owed + per_second * (now - looked), max(per_second, 1)), now
            if owed < 1 or len(tasks) >= AT_ONCE:
                await asyncio.sleep(min(POLL_SECONDS, (1 - owed) / per_second if owed < 1 and per_second else 1))
                continue
            owed -= 1
            kind = random.choices(list(KINDS), list(KINDS.values()))[0]
            task = asyncio.create_task(ask(client, kind, next(vehicles) if kind == "event" else pick()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


def run(settings: Settings) -> None:
    asyncio.run(generate(settings, watched(settings)))
