"""HTTP as the server speaks it: nobody holds a connection without a request, and every refusal is JSON."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS: Final = 10.0
MOST_HEADERS: Final = 8 * 1024
MOST_CONNECTIONS: Final = 256
KEEP_ALIVE_SECONDS: Final = 30
_REASONS: Final = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}


class PatientProtocol(H11Protocol):
    """One connection, with a limit on the time that the head of a request may take."""

    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio sets it only where the listening socket names its protocol; without it an answer waits for 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.server_state.connections) > MOST_CONNECTIONS:
            self._turn_away(503, "overloaded", "too many connections; ask again")
        else:
            self._wait()

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
        self._turn_away(400, "malformed", "this is no HTTP request, or its headers are larger than 8 kB")

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
        body = json.dumps({"error": error, "message": message})
        head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
        self.transport.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        self.transport.close()


def settings() -> dict[str, Any]:
    """Uvicorn's settings that belong to the protocol."""
    return {
        "http": PatientProtocol,
        "h11_max_incomplete_event_size": MOST_HEADERS,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "ws": "none",
        "server_header": False,
    }
