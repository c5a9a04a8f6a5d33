"""Requests with header sets that no client should send, for tests and the benchmark."""

from __future__ import annotations

import json
import random
from typing import Any

from starlette.types import Receive, Scope, Send

Headers = list[tuple[bytes, bytes]]
NAMES = (b"x-request-id", b"x-correlation-id", b"traceparent", b"tracestate", b"baggage", b"x-tenant-id", b"user-agent")
ID_NAMES = NAMES[:2]
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARTS = (
    b"",
    b"0123456789abcdef",
    b"good-id-0001",
    TRACEPARENT,
    TRACEPARENT.upper(),
    b"plan=gold",
    b"plan=%0d%0aSet-Cookie:%20x=1",
    b"plan=%ff%fe;a=b,,,=,",
    b"\r\n",
    b"\x1b[31m",
    b"\x00",
    b"\xff\xfe\x80",
    b"=",
    b",",
    b";",
    b"-",
    b" ",
    b"${jndi:ldap://x}",
    b"{}",
    "ünïcödé".encode(),
    b"a" * 200,
    b"k=v," * 300,
)


def header_set(draw: random.Random) -> Headers:
    """Some headers, often several of the same name, with values put together from odd parts."""
    return [(draw.choice(NAMES), _value(draw)) for _ in range(draw.randrange(0, 7))]


def _value(draw: random.Random) -> bytes:
    if draw.random() < 0.2:
        return draw.randbytes(draw.randrange(0, 120))
    return b"".join(draw.choice(PARTS) for _ in range(draw.randrange(0, 4)))


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with a digest of what it was asked, so that any change of the request shows in the response.

    The IDs are left out: what lies inside sees the one in force.
    """
    headers = [[name.hex(), value.hex()] for name, value in scope["headers"] if name not in ID_NAMES]
    asked = [scope["method"], scope["path"], headers]
    status = 200 + len(headers)
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(asked).encode()})


def without_id(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of a response without the one header that is ours."""
    return [
        {**message, "headers": [header for header in message["headers"] if header[0] != b"x-request-id"]}
        if "headers" in message
        else message
        for message in messages
    ]
