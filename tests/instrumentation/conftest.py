"""A runtime of its own for each test, whose spans and metrics can be looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from sloctl.instrumentation import Runtime, configure, counters
from testing.brokers import rabbitmq
from tests.conftest import program


@dataclass
class Observed:
    """A runtime, and what it recorded."""

    runtime: Runtime
    exporter: InMemorySpanExporter

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    @property
    def span(self) -> ReadableSpan:
        """The only one."""
        (span,) = self.spans
        return span

    def value(self, name: str, **labels: str) -> float | None:
        """The sum of the series that have these labels, whatever others they have."""
        found = [
            s.value
            for metric in self.runtime.registry.collect()
            for s in metric.samples
            if s.name == name and labels.items() <= s.labels.items()
        ]
        return sum(found) if found else None

    def requests(self, route: str, status: int, method: str = "GET") -> float | None:
        """How many requests the histogram counted, of any error type."""
        return self.counted().get((method, route, str(status)))

    def counted(self) -> dict[tuple[str, str, str], float]:
        """Every (method, route, status) with its count."""
        found: dict[tuple[str, str, str], float] = {}
        for s in (s for metric in self.runtime.registry.collect() for s in metric.samples):
            if s.name == "http_server_request_duration_seconds_count":
                key = (s.labels["http_request_method"], s.labels["http_route"], s.labels["http_response_status_code"])
                found[key] = found.get(key, 0) + s.value
        return found

    def seconds(self, route: str) -> float:
        """What the histogram added up for a route."""
        samples = [s for metric in self.runtime.registry.collect() for s in metric.samples]
        name = "http_server_request_duration_seconds_sum"
        (found,) = (s.value for s in samples if s.name == name and s.labels["http_route"] == route)
        return found


Configure = Callable[..., Observed]


@pytest.fixture
def anyio_backend() -> str:
    """Servers run asyncio."""
    return "asyncio"


@pytest.fixture
def observed() -> Configure:
    """Configure a runtime; arguments as of `configure`."""

    def make(service: str = "tracking-api", **settings: Any) -> Observed:
        exporter = InMemorySpanExporter()
        runtime = configure(
            service,
            "test",
            cluster="here",
            pod="tracking-api-0",
            registry=CollectorRegistry(),
            processors=[SimpleSpanProcessor(exporter)],
            set_global=False,
            **settings,
        )
        return Observed(runtime, exporter)

    return make


@pytest.fixture(scope="session")
def rabbitmq_port() -> Iterator[int]:
    """One RabbitMQ, which takes its time to start, for all tests of the xdist group `rabbitmq`."""
    program("erl")
    with rabbitmq() as port:
        yield port


def total(counter: Any) -> float:
    """The sum over all labels of a counter."""
    return sum(s.value for metric in counter.collect() for s in metric.samples if s.name.endswith("_total"))


@pytest.fixture(autouse=True)
def no_failed_step(request: pytest.FixtureRequest) -> Iterator[None]:
    """A guarded failure of ours is a failure of the test, unless a marker says that it breaks one."""
    before = total(counters.FAILURES)
    yield
    failures = total(counters.FAILURES) - before
    if request.node.get_closest_marker("allows_failed_steps") is not None:
        return
    if request.node.get_closest_marker("breaks_a_step") is None:
        assert failures == 0, [s for metric in counters.FAILURES.collect() for s in metric.samples]
    else:
        assert failures > 0


@dataclass
class Collector:
    """Takes what OTLP over HTTP sends: path and body of each request, as they came."""

    url: str = ""
    received: list[tuple[str, bytes]] = field(default_factory=list)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """One on loopback; whoever sends has ended when `received` is looked at."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()
