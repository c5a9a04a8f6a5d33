"""Scrape targets that misbehave on purpose, each on a port of its own.

python -m bench.rules_exporter ROLE=PORT...

GET  /metrics   http_requests_total{code}, growing with the clock, and a timestamp and a probe
POST /start     the process "starts" now: its counters are zero
POST /down      scrapes fail until POST /up
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from testing.exposition import Exposition


@dataclass(frozen=True, slots=True)
class Role:
    """How a target behaves.

    Attributes:
        history: how many good and how many bad requests it has counted before the run.
        errors: the share of requests that fail.
        birth_every: seconds after which one more error series appears, with 1, 2 or 3 in it.
        born_late: the error series appears with the first error.
        answers_after: seconds that a scrape takes.
    """

    per_second: float = 20
    history: int = 0
    errors: float = 0.05
    birth_every: float = 0
    born_late: bool = False
    answers_after: float = 0


ROLES: Final[Mapping[str, Role]] = {
    "steady": Role(),
    "births": Role(errors=0, birth_every=7),
    "resets": Role(errors=0.1, born_late=True),
    "replaced": Role(),
    "down": Role(errors=0),
    "relabelled": Role(history=1_000_000),
    "slow": Role(answers_after=0.4),
}


@dataclass(slots=True)
class Target:
    """One target and its counters."""

    role: Role
    since: float = field(default_factory=time.monotonic)
    is_down: bool = False

    def start(self) -> None:
        """Its process starts."""
        self.since = time.monotonic()

    def lines(self) -> Iterator[str]:
        """Its page, in Prometheus' text format."""
        role, age = self.role, time.monotonic() - self.since
        requests = role.history + age * role.per_second
        errors = role.history + age * role.per_second * role.errors
        yield "# TYPE http_requests_total counter"
        yield f'http_requests_total{{code="200"}} {int(requests)}'
        if role.errors and (errors >= 1 or not role.born_late):
            yield f'http_requests_total{{code="500"}} {int(errors)}'
        for number in range(int(age / role.birth_every) if role.birth_every else 0):
            yield f'http_requests_total{{code="500",path="/{number}"}} {1 + number % 3}'
        yield "# TYPE last_success_timestamp_seconds gauge"
        yield f"last_success_timestamp_seconds {time.time():.3f}"
        yield "# TYPE probe_success gauge"
        yield "probe_success 1"


def handler_for(target: Target) -> type[BaseHTTPRequestHandler]:
    """The HTTP interface of a target."""
    orders: dict[str, Callable[[], None]] = {
        "/start": target.start,
        "/down": lambda: setattr(target, "is_down", True),
        "/up": lambda: setattr(target, "is_down", False),
    }

    class Handler(Exposition):
        def do_GET(self) -> None:
            if target.is_down:
                self.answer("down\n", 503)
                return
            page = "\n".join([*target.lines(), ""])
            time.sleep(target.role.answers_after)
            self.answer(page)

        def do_POST(self) -> None:
            order = orders.get(self.path)
            if order is None:
                self.answer(f"only {', '.join(orders)}\n", 404)
                return
            order()
            self.answer("done\n")

    return Handler


def main(words: list[str]) -> None:
    """Serve every `ROLE=PORT` on loopback until the process ends."""
    servers = []
    for word in words:
        role, _, port = word.partition("=")
        servers.append(ThreadingHTTPServer(("127.0.0.1", int(port)), handler_for(Target(ROLES[role]))))
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
