"""`mode="otel"`: their span, our rest; and our own span says what theirs would."""

import subprocess
import sys

from testing.servers import ROOT

# In a process of its own: their choice of attribute names is made once a process.
PROGRAM = """
import asyncio, json, sys
from fastapi import FastAPI, HTTPException
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry
from sloctl.instrumentation import configure, current, instrument_app
from testing.asgi import call

def run(mode):
    exporter = InMemorySpanExporter()
    runtime = configure("web", "test", pod="p", cluster="c", registry=CollectorRegistry(),
                        processors=[SimpleSpanProcessor(exporter)], set_global=False)
    app = FastAPI()

    @app.get("/items/{item}")
    async def item(item: str):
        current().set_tenant("acme")
        if item == "broken":
            raise ValueError("broken")
        if item == "refused":
            raise HTTPException(503)
        return {"request_id": current().request_id}

    instrument_app(app, runtime, trust="internal", mode=mode)
    headers = [(b"user-agent", b"test/1"), (b"x-request-id", b"request-0001")]
    found = {}
    for name, path, more in [("good", "/items/1?a=b", []), ("broken", "/items/broken", []),
                             ("refused", "/items/refused", []), ("unmatched", "/nothing", [])]:
        exporter.clear()
        response = asyncio.run(call(app, path, headers + more))
        (span,) = exporter.get_finished_spans()
        exceptions = [event.attributes["exception.type"] for event in span.events]
        found[name] = {"name": span.name, "kind": str(span.kind), "status": str(span.status.status_code),
                       "exceptions": exceptions, "attributes": dict(span.attributes), "id": response.request_id,
                       "counted": runtime.registry.get_sample_value("http_server_request_duration_seconds_count", {
                           "http_request_method": "GET", "http_response_status_code": str(response.status),
                           "http_route": "_unmatched" if name == "unmatched" else "/items/{item}",
                           "error_type": str(response.status) if response.status >= 500 else ""})}
    return found

print(json.dumps({mode: run(mode) for mode in ("fused", "otel")}))
"""
# semconv: the name or address without its port, which has an attribute of its own; theirs has both in one.
THEIR_ADDRESS = ("127.0.0.1:8000", "127.0.0.1")


def test_both_modes_say_the_same() -> None:
    import json

    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    found = json.loads(finished.stdout)
    for case, ours in found["fused"].items():
        theirs = found["otel"][case]
        assert (theirs["attributes"].pop("server.address"), ours["attributes"].pop("server.address")) == THEIR_ADDRESS
        assert ours == theirs, case
    assert found["otel"]["good"]["attributes"]["request.id"] == "request-0001"
    assert found["otel"]["good"]["counted"] == 1
