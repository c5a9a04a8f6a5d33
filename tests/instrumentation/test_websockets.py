"""Websockets: the context, the ID on the handshake, the span, the entry line, how many are open and how they end."""

import asyncio
import json
import logging
import time
from typing import Any

import httpx
import pytest
import websockets
from fastapi import Depends, FastAPI, WebSocket, WebSocketDisconnect, WebSocketException

from sloctl.instrumentation import current, instrument_app
from testing.servers import PATIENCE
from testing.serving import serving
from tests.instrumentation.conftest import Configure, Observed

pytestmark = [pytest.mark.server, pytest.mark.anyio]


def application(seen: Observed) -> FastAPI:
    app = FastAPI()

    def who() -> None:
        request = current()
        assert request is not None
        request.set_tenant("acme")

    @app.websocket("/rooms/{room}", dependencies=[Depends(who)])
    async def rooms(socket: WebSocket, room: str) -> None:
        request = current()
        assert request is not None
        if room == "refused":
            raise WebSocketException(1008)
        await socket.accept()
        logging.getLogger("chat").info("in %s", room)
        await socket.send_json(
            {"id": request.request_id, "open": seen.value("websocket_server_active_connections", http_route=ROUTE)}
        )
        if room == "broken":
            raise ValueError("broken")
        if room == "ours":
            await socket.close(4001)
            return
        try:
            await socket.receive_text()
        except WebSocketDisconnect:
            return

    instrument_app(app, seen.runtime, trust="internal")
    return app


ROUTE = "/rooms/{room}"


@pytest.mark.parametrize(
    ("room", "code", "failed"),
    [("left", "1000", False), ("ours", "4001", False), ("theirs", "_other", False), ("broken", "1011", True)],
)
async def test_a_websocket_from_its_handshake_to_its_close(
    observed: Configure, room: str, code: str, failed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    seen = observed()
    with serving(application(seen)) as port:
        async with websockets.connect(
            f"ws://127.0.0.1:{port}/rooms/{room}", additional_headers={"x-request-id": "request-0001"}
        ) as client:
            assert client.response is not None
            assert client.response.headers["x-request-id"] == "request-0001"
            assert json.loads(await client.recv()) == {"id": "request-0001", "open": 1}
            if room == "theirs":
                await client.close(4999)
        await until(lambda: closed(seen, code) is not None)
    assert closed(seen, code) == 1
    assert seen.value("websocket_server_active_connections", http_route=ROUTE) == 0
    assert seen.counted() == {}
    assert seen.span.name == f"GET {ROUTE}"
    assert seen.span.status.is_ok is not failed
    assert seen.span.attributes is not None
    assert seen.span.attributes["tenant.id"] == "acme"
    entry = next(record for record in caplog.records if record.name == "sloctl.entry")
    assert (entry.levelname, bool(entry.exc_info)) == (("ERROR", True) if failed else ("INFO", False))


async def test_a_refused_handshake_has_the_id_and_is_counted(observed: Configure) -> None:
    seen = observed()
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    headers |= {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    with serving(application(seen)) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/rooms/refused", headers=headers).status_code == 403
        await until(lambda: closed(seen, "403") is not None)
    assert closed(seen, "403") == 1
    assert seen.value("websocket_server_active_connections", http_route=ROUTE) is None


def closed(seen: Observed, code: str) -> float | None:
    return seen.value("websocket_server_connections_total", http_route=ROUTE, websocket_close_code=code)


async def until(true: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
