"""HTTP as the server speaks it: nobody holds a connection without a request, and every refusal is JSON.

When connections run out, the oldest whose request is not whole gives way. Where all are at work, some more are let in
that only health is told on, so that a busy server is not restarted for being busy.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import h11
from starlette.responses import JSONResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HEADER_SECONDS: Final = 10.0
MOST_HEADERS: Final = 8 * 1024
MOST_CONNECTIONS: Final = 256
MOST_OF_ONE_PEER: Final = 128
"""Connections of one address: more than all analyses that are let in at once, less than all connections."""
FOR_HEALTH: Final = 16
"""Connections beyond those, on which only health is told."""
HEALTH: Final = frozenset({"/healthz", "/readyz", "/metrics"})
KEEP_ALIVE_SECONDS: Final = 30
_NO_HTTP: Final = "this is no HTTP request, or its headers are larger than 8 kB"
_REASONS: Final = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


class PatientProtocol(H11Protocol):
    """One connection, with a limit on the time that the head of a request may take."""

    _waiting: asyncio.TimerHandle | None = None

    _crowded: bool = False
    _opened: float = 0.0

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._served: ASGIApp = self.app
        self.app = self._fenced

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio sets it only where the listening socket names its protocol; without it an answer waits for 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._opened = time.monotonic()
        if self._makes_room():
            self._wait()
        else:
            self._turn_away(503, "overloaded", "too many connections; ask again")

    @property
    def _gives_way(self) -> bool:
        """Whether no whole request has come, so that nothing is lost but the time of whoever sends it."""
        return self.conn.their_state in {h11.IDLE, h11.SEND_BODY} and not self.transport.is_closing()

    def _makes_room(self) -> bool:
        """Let this connection in, at the cost of an older one where there are too many; False when there is none."""
        open_ = [other for other in self._others() if not other.transport.is_closing()]
        of_this_peer = [other for other in open_ if other.client and self.client and other.client[0] == self.client[0]]
        if len(of_this_peer) >= MOST_OF_ONE_PEER:
            return _one_gives_way(of_this_peer)
        if len(open_) < MOST_CONNECTIONS or _one_gives_way(open_):
            return True
        self._crowded = True
        return len(open_) < MOST_CONNECTIONS + FOR_HEALTH

    def _others(self) -> Iterable[PatientProtocol]:
        return (other for other in self.connections if isinstance(other, PatientProtocol) and other is not self)

    async def _fenced(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application, for requests with a head of a sensible size; for health only when it is crowded."""
        length = sum(len(name) + len(": ") + len(value) + len("\r\n") for name, value in scope["headers"])
        if length + len(scope["raw_path"]) + len(scope["query_string"]) > MOST_HEADERS:
            refusal = _refusal(400, "malformed", _NO_HTTP)
        elif self._crowded and scope["path"] not in HEALTH:
            refusal = _refusal(503, "overloaded", "too many connections; ask again")
        else:
            await self._served(scope, receive, send)
            return
        await refusal(scope, receive, send)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()
        elif self._waiting is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """What was sent is no HTTP."""
        self._turn_away(400, "malformed", _NO_HTTP)

    def _wait(self) -> None:
        self._waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE:
            self._turn_away(408, "too_slow", f"no request came within {HEADER_SECONDS:g} s")

    def _turn_away(self, status: int, error: str, message: str) -> None:
        if self.transport.is_closing():
            return
        if self.timeout_keep_alive_task is not None or self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()  # an answer to no request would be taken for that to the next one
            return
        body = json.dumps({"error": error, "message": message})
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        self.transport.close()


def _one_gives_way(connections: Iterable[PatientProtocol]) -> bool:
    """Close the oldest whose request is not whole; False when there is none."""
    unfinished = (connection for connection in connections if connection._gives_way)
    oldest = min(unfinished, key=lambda connection: connection._opened, default=None)
    if oldest is not None:
        oldest._turn_away(503, "overloaded", "too many connections; ask again")
    return oldest is not None


def _refusal(status: int, error: str, message: str) -> JSONResponse:
    return JSONResponse({"error": error, "message": message}, status, {"Connection": "close"})


def settings() -> dict[str, Any]:
    """Uvicorn's settings that belong to the protocol."""
    return {
        "http": PatientProtocol,
        "h11_max_incomplete_event_size": MOST_HEADERS,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "ws": "none",
        "server_header": False,
    }
