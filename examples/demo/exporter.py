"""A checkout service that is only its metrics: it counts requests at a steady rate and fails on demand.

python -m examples.demo.exporter PORT [REQUESTS_PER_SECOND]

GET  /metrics            http_requests_total{code="200"|"500"}
POST /fail?ratio=0.2     from now on this share of the requests fails; without a ratio all do
POST /heal               none fails any more
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from testing.exposition import Exposition


@dataclass(slots=True)
class Traffic:
    """Counts of requests by status code; they grow with the clock, whenever someone looks."""

    per_second: float
    failing: float = 0.0
    counted_until: float = field(default_factory=time.monotonic)
    counts: dict[str, float] = field(default_factory=lambda: {"200": 0.0})
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, ratio: float) -> None:
        """From now on this share of the requests fails, 0 to 1."""
        with self.lock:
            self._count()
            self.failing = ratio

    def metrics(self) -> str:
        """The counts in Prometheus' text format; a code appears with its first request."""
        with self.lock:
            self._count()
            samples = [f'http_requests_total{{code="{code}"}} {int(n)}' for code, n in self.counts.items()]
        head = ["# HELP http_requests_total Requests answered.", "# TYPE http_requests_total counter"]
        return "\n".join([*head, *samples, ""])

    def _count(self) -> None:
        now = time.monotonic()
        requests = (now - self.counted_until) * self.per_second
        self.counted_until = now
        self.counts["200"] += requests * (1 - self.failing)
        if self.failing:
            self.counts["500"] = self.counts.get("500", 0.0) + requests * self.failing


def ratio_of(query: str) -> float:
    """The `ratio` of a query string, 1 when there is none.

    Raises:
        ValueError: it is no number from 0 to 1.
    """
    ratio = float(parse_qs(query).get("ratio", ["1"])[0])
    if not 0 <= ratio <= 1:
        raise ValueError(f"ratio is from 0 to 1, not {ratio:g}")
    return ratio


def handler_for(traffic: Traffic) -> type[BaseHTTPRequestHandler]:
    """The HTTP interface of the traffic."""

    class Handler(Exposition):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self.answer(traffic.metrics())
            else:
                self.answer("only /metrics\n", 404)

        def do_POST(self) -> None:
            url = urlsplit(self.path)
            try:
                ratio = 0.0 if url.path == "/heal" else {"/fail": ratio_of}[url.path](url.query)
            except (KeyError, ValueError) as error:
                self.answer(f"POST /fail?ratio=1 or /heal ({error})\n", 400)
                return
            traffic.fail(ratio)
            self.answer(f"failing: {ratio:g}\n")

    return Handler


def main(port: int, per_second: float = 100.0) -> None:
    """Serve on loopback until the process ends."""
    ThreadingHTTPServer(("127.0.0.1", port), handler_for(Traffic(per_second))).serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:3]))
