"""Call an ASGI application as a server does, and keep every message that it sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]


@dataclass
class Response:
    """What an application sent; `error` is the exception that it ended with."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def status(self) -> int:
        return next((int(m["status"]) for m in self.messages if m["type"] == "http.response.start"), 0)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return next((list(m["headers"]) for m in self.messages if m["type"] == "http.response.start"), [])

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> list[str]:
        return [value.decode() for key, value in self.headers if key.lower() == name.encode()]

    @property
    def request_id(self) -> str:
        """The one ID of the response."""
        (found,) = self.header("x-request-id")
        return found


def scope(path: str, headers: Headers = (), method: str = "GET", **more: Any) -> dict[str, Any]:
    """The scope of a request; `path` may have a query."""
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"test"), *headers],
        "client": ("192.0.2.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
        **more,
    }


async def call(
    app: ASGIApp, path: str, headers: Headers = (), method: str = "GET", *, leaves: bool = False, **more: Any
) -> Response:
    """One request with an empty body; an exception of the application is kept as a server would.

    The client stays for the whole response, or `leaves` once its request is read.
    """
    response = Response()
    requested = False
    over = asyncio.Event()
    if leaves:
        over.set()

    async def receive() -> dict[str, Any]:
        nonlocal requested
        if requested:
            await over.wait()
            return {"type": "http.disconnect"}
        requested = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        response.messages.append(dict(message))
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            over.set()

    try:
        await app(scope(path, headers, method, **more), receive, send)
    except Exception as error:  # noqa: BLE001 - a server logs it
        response.error = error
    return response
