"""Answers where a shipment is, from the read store. Runs in two versions: the stable one and the canary."""

from __future__ import annotations

import asyncio
from typing import Any

from examples.tracking_pipeline.settings import LOG, TENANTS, Settings
from examples.tracking_pipeline.switches import Share, Switches
from sloctl.instrumentation import Runtime, instrument_app


class NoAnswerError(Exception):
    """What was asked cannot be answered, and it is not the client's fault."""


def make(settings: Settings, runtime: Runtime, switches: Switches, *, canary: bool) -> Any:
    from fastapi import FastAPI, HTTPException
    from fastapi.responses import JSONResponse
    from redis.asyncio import Redis

    app, store = FastAPI(), Redis(port=settings.ports["redis"], decode_responses=True)
    spec = "examples/tracking_pipeline/slo-specs/tracking-api.yaml"
    instrument_app(app, runtime, trust="internal", tenants=TENANTS, slo=spec)
    failing = Share(lambda: switches["canary_errors" if canary else "errors"])

    @app.exception_handler(NoAnswerError)
    async def fail(_request: Any, error: Exception) -> JSONResponse:
        # An exception that leaves the application would close the gateway's connection under its next request.
        return JSONResponse({"error": str(error)}, 500)

    async def find(shipment: str) -> dict[str, Any]:
        if switches.on("latency"):
            await asyncio.sleep(switches["latency"])
        record = await store.hgetall(f"shipment:{shipment}")
        if not record:
            raise HTTPException(404, "unknown shipment")
        latitude = float(record["latitude"])
        if abs(latitude) > 90:
            # The record carries the context of the request that wrote it, so that one leads to the other.
            LOG.error(
                "record of %s has latitude %g; request %s wrote it", shipment, latitude, record.get("x-request-id")
            )
            raise NoAnswerError(f"the record of {shipment} is broken")
        return {"shipment": shipment, "latitude": latitude, "longitude": float(record["longitude"])}

    @app.post("/track")
    async def track(question: dict[str, str]) -> dict[str, Any]:
        found = await find(question["shipment"])
        if failing.hit():
            LOG.error("cannot estimate the arrival of %s", question["shipment"])
            raise NoAnswerError("the arrival cannot be estimated")
        return found

    @app.get("/shipments/{shipment}")
    async def show(shipment: str) -> dict[str, Any]:
        return await find(shipment)

    return app
