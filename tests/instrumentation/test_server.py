"""On real sockets: ten thousand interleaved requests, clients that leave, streams and tasks; nothing leaks."""

import asyncio
import contextvars
import json
import random
import socket
from collections.abc import AsyncIterator

import anyio.to_thread
import pytest
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from sloctl.instrumentation import current, instrument_app
from testing.servers import PATIENCE
from testing.serving import serving
from tests.instrumentation.conftest import Configure, Observed

pytestmark = [pytest.mark.anyio, pytest.mark.server]
REQUESTS = 10_000
CONCURRENT = 100


def application(there: Observed) -> FastAPI:
    app = FastAPI()

    def seen() -> str:
        context = current()
        assert context is not None
        return f"{context.request_id} {context.tenant_id}"

    @app.get("/mixed/{tenant}")
    async def mixed(tenant: str) -> list[str]:
        """What is seen before and after others ran, in a thread, in tasks and in a copied context."""
        context = current()
        assert context is not None
        context.set_tenant(tenant)
        found = [seen()]
        await asyncio.sleep(random.random() / 200)
        found.append(seen())
        found.append(await anyio.to_thread.run_sync(seen))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(later(seen)) for _ in range(2)]
        found += [task.result() for task in tasks]
        found.append(contextvars.copy_context().run(seen))
        return found

    async def later(what: object) -> str:
        await asyncio.sleep(0)
        return seen()

    @app.get("/drip")
    async def drip() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(200):
                yield b"x" * 1000
                await asyncio.sleep(0.02)

        return StreamingResponse(chunks())

    instrument_app(app, there.runtime, trust="internal", tenants=50)
    return app


async def get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, request_id: str
) -> tuple[dict[str, str], bytes]:
    """One request on a connection that stays open; headers and body of its response."""
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nx-request-id: {request_id}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    return headers, await reader.readexactly(int(headers["content-length"]))


async def test_ten_thousand_interleaved_requests_never_see_each_others_context(observed: Configure) -> None:
    there = observed(sample_ratio=0.1)
    leaks: list[str] = []
    numbers = iter(range(REQUESTS))

    async def client(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            request_id, tenant = f"request-{number:06}", f"t{number}"
            headers, body = await get(reader, writer, f"/mixed/{tenant}", request_id)
            found = json.loads(body)
            if found != [f"{request_id} {tenant}"] * 6:
                leaks.append(f"{request_id}: {found}")
            if headers["x-request-id"] != request_id:
                leaks.append(f"{request_id}: answered as {headers['x-request-id']}")
        writer.close()

    with serving(application(there)) as port:
        await asyncio.gather(*(client(port) for _ in range(CONCURRENT)))
    assert leaks == []
    assert there.requests("/mixed/{tenant}", 200) == REQUESTS
    assert current() is None
    for span in there.spans:
        attributes = span.attributes or {}
        assert attributes["tenant.id"] == f"t{int(str(attributes['request.id'])[-6:])}"


async def test_a_client_that_closes_its_socket_is_499_and_no_error_of_ours(observed: Configure) -> None:
    there = observed()
    with serving(application(there)) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET /drip HTTP/1.1\r\nhost: x\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        for _ in range(int(PATIENCE / 0.02)):
            if there.counted():
                break
            await asyncio.sleep(0.02)
    assert there.counted() == {("GET", "/drip", "499"): 1}


async def test_headers_that_no_library_would_send(observed: Configure) -> None:
    there = observed(baggage=["plan"])
    lines = [
        b"GET /mixed/acme HTTP/1.1",
        b"host: x",
        b"x-request-id: \xff\xfe",
        b"x-request-id: second-is-good",
        b"traceparent: 00-zz",
        b"baggage: " + b",".join(b"k%d=v" % number for number in range(300)),
        b"baggage: plan=%0d%0aSet-Cookie:x",
        b"connection: close",
    ]
    with serving(application(there)) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"\r\n".join(lines) + b"\r\n\r\n")
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"x-request-id: second-is-good" in head
    assert b"set-cookie" not in head.lower()
    assert b"second-is-good acme" in body
