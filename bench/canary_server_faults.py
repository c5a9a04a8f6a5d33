"""A proxy before Prometheus that fails in the ways that networks and servers do."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

import httpx

AWAY: Final = frozenset({"source_unavailable"})


class Proxy:
    """What is done to each answer.

    Attributes:
        fault: one of `REASONS`, or None to pass on what Prometheus says.
    """

    REASONS: ClassVar[Mapping[str, frozenset[str]]] = {
        "hung": AWAY,
        "slow": AWAY,
        "resetting": AWAY,
        "truncated": AWAY,
        "html": AWAY,
        "partial": frozenset({"partial"}),
        "nan": frozenset({"stale_data"}),
        "clock": frozenset({"stale_data"}),
    }
    """The reasons that are right for each fault; the breaker's is the source's as well."""

    def __init__(self, prometheus: str, url: str) -> None:
        self.prometheus, self.url = prometheus, url
        self.fault: str | None = None
        self.client = httpx.Client(limits=httpx.Limits(max_connections=200, max_keepalive_connections=100))

    def answer(self, path: str, content: bytes, kind: str) -> tuple[int, bytes]:
        """Status and body."""
        found = self.client.post(
            f"{self.prometheus}{path}", content=content, headers={"Content-Type": kind}, timeout=20
        )
        body = found.content
        match self.fault:
            case "truncated":
                return 200, body[: len(body) // 2]
            case "html":
                return 200, b"<html><body>Please log in</body></html>"
            case "partial":
                return 200, body.rstrip()[:-1] + b',"warnings":["a store gateway is away"]}'
            case "nan":
                return 200, _last_is_nan(body)
            case "clock":
                return 200, _later(found.json())
            case _:
                return found.status_code, body


def _last_is_nan(answer: bytes) -> bytes:
    """The last value of every series; a pattern, because a slow proxy would be another fault."""
    return re.sub(rb'"[^"]*"\]\]', b'"NaN"]]', answer)


def _later(answer: dict[str, Any]) -> bytes:
    if answer["data"]["resultType"] == "scalar":
        moment = answer["data"]["result"][0] + 120
        answer["data"]["result"] = [moment, str(moment)]
    return json.dumps(answer).encode()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Connections of one moment; of more than five the default resets some, which would be another fault."""


@contextmanager
def proxied(prometheus: str) -> Iterator[Proxy]:
    """A proxy on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if proxy.fault == "resetting":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            if proxy.fault in {"hung", "slow"}:
                time.sleep(12 if proxy.fault == "hung" else 3)
            status, body = proxy.answer(self.path, content, self.headers["Content-Type"])
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # nobody waited

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with _Listener(("127.0.0.1", 0), Handler) as listener:
        proxy = Proxy(prometheus, f"http://127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield proxy
        listener.shutdown()
        thread.join()
