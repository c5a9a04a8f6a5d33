"""Where clients call: takes events, and hands questions to the tracking API, a share of them to its canary."""

from __future__ import annotations

import contextvars
import json
import random
from typing import Any

from examples.tracking_pipeline.settings import EVENTS, LOG, TENANTS, Settings
from examples.tracking_pipeline.switches import Switches
from sloctl.instrumentation import Runtime, carriers, current, instrument_app, instrument_httpx

TOKENS = {f"token-of-{tenant}": tenant for tenant in TENANTS}
STREAM_LENGTH = 10_000
ANSWER_SECONDS = 5.0


def make(settings: Settings, runtime: Runtime, switches: Switches) -> Any:
    import httpx
    from fastapi import FastAPI, Header, HTTPException, Response
    from redis.asyncio import Redis

    app, store = FastAPI(), Redis(port=settings.ports["redis"])
    client = httpx.AsyncClient(timeout=ANSWER_SECONDS)
    instrument_httpx(client, runtime)
    instrument_app(app, runtime, trust="edge", tenants=TENANTS, slo="examples/tracking_pipeline/slo-specs/gateway.yaml")

    def identify(authorization: str) -> None:
        tenant = TOKENS.get(authorization.removeprefix("Bearer "))
        if tenant is None:
            raise HTTPException(401, "who are you?")
        request = current()
        if request is not None:
            request.set_tenant(tenant)

    @app.post("/events", status_code=202)
    async def take(event: dict[str, Any], authorization: str = Header()) -> dict[str, str]:
        identify(authorization)
        fields: dict[Any, Any] = {"event": json.dumps(event)}
        without = switches.on("dropped_carrier")
        (contextvars.Context().run if without else _run)(carriers.redis.inject, fields)
        await store.xadd(EVENTS, fields, maxlen=STREAM_LENGTH)
        return {"accepted": event["shipment"]}

    async def ask(method: str, path: str, **more: Any) -> Response:
        canary = random.random() < switches["canary_weight"]
        url = settings.url("tracking-api-canary" if canary else "tracking-api-stable")
        try:
            answer = await client.request(method, f"{url}{path}", **more)
        except httpx.TransportError as error:
            LOG.error("the tracking API does not answer: %s", type(error).__name__)
            return Response(status_code=502)
        return Response(answer.content, answer.status_code, media_type="application/json")

    @app.post("/track")
    async def track(question: dict[str, str], authorization: str = Header()) -> Response:
        identify(authorization)
        return await ask("POST", "/track", json=question)

    @app.get("/shipments/{shipment}")
    async def show(shipment: str, authorization: str = Header()) -> Response:
        identify(authorization)
        return await ask("GET", f"/shipments/{shipment}")

    return app


def _run(action: Any, *arguments: Any) -> Any:
    return action(*arguments)
