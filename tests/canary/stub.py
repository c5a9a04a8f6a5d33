"""A Prometheus whose answers a test decides, on loopback."""

from __future__ import annotations

import json
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

NOW = 1_800_000_000.0
Answer = tuple[int, str]
RESET = 0
"""Instead of a status: the connection is reset."""


def matrix(*series: tuple[dict[str, str], list[list[object]]], **more: object) -> str:
    """Raw samples as the API writes them."""
    result = [{"metric": labels, "values": values} for labels, values in series]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}, **more})


def counter(labels: dict[str, str], each: float, until: float = NOW, start: float | None = None, step: float = 10):
    """A counter scraped every ten seconds that grows by `each`."""
    first = until - 600 if start is None else start
    count = int((until - first) / step) + 1
    return labels, [[first + index * step, str((index + 1) * each)] for index in range(count)]


def both(query: str, body: Callable[[str], Answer]) -> Answer:
    """The answers to the query of each version, as one; the first that is no result where there is such a one."""
    found = re.search(r'(\w+)=~"(\w+)\|(\w+)"', query)
    if found is None:
        return body(query)
    label, *versions = found.groups()
    answers = [body(query.replace(found[0], f'{label}="{version}"')) for version in versions]
    together: dict[str, Any] = {}
    for version, (status, text) in zip(versions, answers, strict=True):
        try:
            answer = json.loads(text)
            for series in answer["data"]["result"]:
                series["metric"] |= {label: version}
        except (ValueError, KeyError, TypeError):
            return status, text
        before = together["data"]["result"] if together else []
        together |= answer
        together["data"]["result"] = before + together["data"]["result"]
    return 200, json.dumps(together)


class Stub:
    """What is answered to a query: `answer(query)` gives a status and a body.

    Attributes:
        fails: whether every request fails of the version that a query names.
    """

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.began = now - 600
        self.delay = 0.0
        self.queries: list[str] = []
        self.body: Callable[[str], Answer] = self.healthy
        self.fails: Callable[[str], bool] = lambda _: False
        self.up: Callable[[str], Answer] = lambda _: (200, matrix())

    def scalar(self) -> Answer:
        return 200, json.dumps(
            {"status": "success", "data": {"resultType": "scalar", "result": [self.now, str(self.now)]}}
        )

    def healthy(self, query: str) -> Answer:
        """Ten requests a second of the canary's pod, without errors, and 190 of two of the baseline with 0.1 %."""
        is_canary = re.search(r'[^!]="7ddf8"', query) is not None
        pods, each = (["canary-1"], 100) if is_canary else (["stable-1", "stable-2"], 950)
        start = self.began if is_canary else self.began - 3600
        bad = each if self.fails(query) else each / 1000
        found = []
        for pod in pods:
            labels = {"__name__": "x", "job": "pay", "instance": pod}
            if "code=~" not in query and "failed" not in query:
                found.append(counter({**labels, "code": "200"}, each - bad, self.now, start))
            found.append(counter({**labels, "code": "500"}, bad, self.now, start))
        return 200, matrix(*found)

    def answer(self, query: str) -> Answer:
        """The body for one query; the clock is always right unless a test moves it."""
        self.queries.append(query)
        time.sleep(self.delay)
        if query.startswith("up{"):
            return self.up(query)
        return self.scalar() if query == "time()" else both(query, self.body)


class LiveStub(Stub):
    """The same by the clock on the wall, for servers in processes of their own."""

    def __init__(self) -> None:
        super().__init__(time.time() // 10 * 10)

    def scalar(self) -> Answer:
        """The time; the samples end at the last full ten seconds."""
        self.now = time.time() // 10 * 10
        moment = time.time()
        data = {"resultType": "scalar", "result": [moment, str(moment)]}
        return 200, json.dumps({"status": "success", "data": data})


class _Server(ThreadingHTTPServer):
    """Says nothing of clients that went away."""

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """The stub behind HTTP; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            status, body = stub.answer(form["query"][0])
            if status == RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            with suppress(BrokenPipeError):  # the client did not wait
                self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def spoiled(
    change: Callable[[float, str], object], at: int = -1, matching: str = "7ddf8"
) -> Callable[[Stub], Callable[[str], Answer]]:
    """Healthy answers in which the value of one sample of one arm is changed."""

    def of(stub: Stub) -> Callable[[str], Answer]:
        def answer(query: str) -> Answer:
            status, body = stub.healthy(query)
            if matching not in query or "code=~" in query or not re.search(r"\[\d", query):
                return status, body
            found = json.loads(body)
            pair = found["data"]["result"][0]["values"][at]
            pair[1] = change(*pair)
            return status, json.dumps(found)

        return answer

    return of
