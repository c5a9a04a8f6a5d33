"""The metrics that the generated rules read, with bounded labels.

`http_server_request_duration_seconds{http_request_method,http_route,http_response_status_code,error_type}` is
OpenTelemetry's `http.server.request.duration` as Prometheus names it.
"""

from __future__ import annotations

import gzip
import os
import re
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from sloctl.instrumentation.semconv import METHODS, OTHER_METHOD
from sloctl.instrumentation.workers import ADVICE, DIRECTORY, WORKERS

DURATION: Final = "http_server_request_duration_seconds"
ACTIVE: Final = "http_server_active_requests"
TENANTS: Final = "tenant_requests"
OPEN_SOCKETS: Final = "websocket_server_active_connections"
CLOSED_SOCKETS: Final = "websocket_server_connections"
ACTIVE_HELP: Final = "HTTP server requests in progress."
OPEN_HELP: Final = "Open websockets."
CLOSED_HELP: Final = "Websockets that were closed or refused."
TENANTS_HELP: Final = "HTTP server requests by tenant."
# Semantic conventions for HTTP metrics, advised bounds of http.server.request.duration.
SEMCONV_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
OTHER_TENANT: Final = "_other"
NO_TENANT: Final = "_none"
_LIVE_GAUGE: Final = re.compile(r"gauge_live\w+_(\d+)\.db")

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

if TYPE_CHECKING:
    from sloctl.instrumentation.pushed import SentHttp


class _Histogram(Histogram):
    """Finds the bucket by bisection: latencies lie in the middle of the bounds."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe an amount; only children that `labels` made are asked."""
        if exemplar is not None:
            super().observe(amount, exemplar)
            return
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)


class HttpMetrics:
    """What the requests of one registry are recorded in.

    Args:
        registry: where they are registered.
        buckets: bounds of the histogram in seconds.
        tenants: a closed list, or how many different ones get a label; None for no tenant metric.

    Attributes:
        sent: what sends the same by OTLP, if anything does.
    """

    def __init__(
        self, registry: CollectorRegistry, buckets: Sequence[float], tenants: Iterable[str] | int | None = None
    ) -> None:
        self.buckets = tuple(buckets)
        self.tenants = TenantLabels(tenants) if tenants is not None else None
        labels = ("http_request_method", "http_route", "http_response_status_code", "error_type")
        self.sent: SentHttp | None = None
        self._duration = _Histogram(
            DURATION, "Duration of HTTP server requests.", labels, registry=registry, buckets=self.buckets
        )
        self._active = Gauge(ACTIVE, ACTIVE_HELP, registry=registry, multiprocess_mode="livesum")
        self._in_progress: set[object] | None = None
        if not os.environ.get(DIRECTORY):  # in one process the gauge is how many are in a set, which costs less to keep
            self._in_progress = set()
            self._active.set_function(partial(len, self._in_progress))
        self._open = Gauge(OPEN_SOCKETS, OPEN_HELP, ("http_route",), registry=registry, multiprocess_mode="livesum")
        closing = ("http_route", "websocket_close_code")
        self._closed = Counter(CLOSED_SOCKETS, CLOSED_HELP, closing, registry=registry)
        self._observe: dict[tuple[str, str, int, str], Callable[..., None]] = {}
        self._count: dict[tuple[str, str, int], Callable[[], None]] = {}
        if self.tenants is not None:
            by_tenant = ("tenant", "http_route", "http_response_status_code")
            self._tenants = Counter(TENANTS, TENANTS_HELP, by_tenant, registry=registry)

    def begun(self, request: object) -> None:
        """A request is in progress, until it is `over`."""
        if self._in_progress is not None:
            self._in_progress.add(request)
        else:
            self._active.inc()
        if self.sent is not None:
            self.sent.in_progress(1)

    def over(self, request: object) -> None:
        """It is in progress no more."""
        if self._in_progress is not None:
            self._in_progress.discard(request)
        else:
            self._active.dec()
        if self.sent is not None:
            self.sent.in_progress(-1)

    def observe(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        exemplar: dict[str, str] | None,
        failure: str | None = None,
    ) -> None:
        """Record one finished request; labels are bounded by the callers, methods here.

        A failure that the service told itself (`RequestContext.fail`) is the `error_type`, or else a status of 5xx.
        """
        error_type = failure or (str(status) if status >= 500 else "")
        key = (METHODS.get(method, OTHER_METHOD), route, status, error_type)
        record = self._observe.get(key)
        if record is None:
            record = self._observe[key] = self._duration.labels(key[0], route, str(status), error_type).observe
        record(seconds, exemplar)
        if self.sent is not None:
            self.sent.observe(key[0], route, status, seconds, error_type)

    def count_tenant(self, tenant: str | None, route: str, status: int) -> None:
        """Count one request of a tenant, when tenants are on."""
        if self.tenants is None:
            return
        key = (self.tenants.label(tenant), route, status)
        count = self._count.get(key)
        if count is None:
            count = self._count[key] = self._tenants.labels(key[0], route, str(status)).inc
        count()
        if self.sent is not None:
            self.sent.count_tenant(*key)

    def opened(self, route: str) -> None:
        """A websocket was accepted."""
        self._open.labels(route).inc()
        if self.sent is not None:
            self.sent.connected(route, 1)

    def closed(self, route: str, code: str, *, accepted: bool) -> None:
        """A websocket was closed, or refused; codes are bounded by the callers."""
        self._closed.labels(route, code).inc()
        if accepted:
            self._open.labels(route).dec()
        if self.sent is not None:
            self.sent.closed(route, code)
            if accepted:
                self.sent.connected(route, -1)


_of_registry: Final[WeakKeyDictionary[CollectorRegistry, HttpMetrics]] = WeakKeyDictionary()


def http_metrics(
    registry: CollectorRegistry, buckets: Sequence[float], tenants: Iterable[str] | int | None
) -> HttpMetrics:
    """The metrics of a registry: its applications share them, and so must want the same.

    Raises:
        ValueError: another application has other buckets or tenants.
    """
    if isinstance(tenants, str):
        raise ValueError(f"tenants is a list of names, or how many may have a label, not {tenants!r}")  # noqa: TRY004
    found = _of_registry.get(registry)
    if found is None:
        found = _of_registry[registry] = HttpMetrics(registry, buckets, tenants)
    elif found.buckets != tuple(buckets) or (found.tenants is None) != (tenants is None):
        raise ValueError("another application of this process has other buckets or tenants; give both the same")
    return found


class TenantLabels:
    """A bounded set of label values: a closed list, or the first ones up to a cap; the rest is `_other`.

    In multiprocess mode the workers admit the same ones: their names are in a file beside the metrics.
    """

    def __init__(self, tenants: Iterable[str] | int) -> None:
        self._cap = tenants if isinstance(tenants, int) else 0
        self._known: set[str] = set() if isinstance(tenants, int) else set(tenants)

    def label(self, tenant: str | None) -> str:
        """The label value of a tenant; `_none` where nobody said who is served."""
        if tenant is None:
            return NO_TENANT
        if tenant in self._known:
            return tenant
        if len(self._known) < self._cap and self._admitted(tenant):
            return tenant
        return OTHER_TENANT

    def _admitted(self, tenant: str) -> bool:
        if folder := os.environ.get(DIRECTORY):
            self._known = _admit(Path(folder) / "tenants", tenant, self._cap)
        else:
            self._known.add(tenant)
        return tenant in self._known


def _admit(file: Path, tenant: str, cap: int) -> set[str]:
    """The tenants that the workers have admitted, with this one if there is room."""
    import fcntl  # there is none on Windows, and no forking server either

    with file.open("a+", encoding="utf-8") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX)
        lines.seek(0)
        known = set(lines.read().splitlines())
        if tenant not in known and len(known) < cap:
            lines.write(f"{tenant}\n")
            known.add(tenant)
    return known


def with_edges(edges: Iterable[float]) -> tuple[float, ...]:
    """The bounds of the semantic conventions and these, in order."""
    return tuple(sorted({*SEMCONV_BUCKETS, *(float(edge) for edge in edges)}))


Answer = tuple[int, list[tuple[str, str]], bytes]


class Exposition:
    """A registry as `/metrics` serves it, whatever the server speaks.

    In prometheus-client's multiprocess mode (`PROMETHEUS_MULTIPROC_DIR`) it sums up all processes; that mode has no
    exemplars. Several workers without that mode are refused: each would answer with its own share.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._folder = os.environ.get(DIRECTORY)
        self._registry = registry
        if self._folder:
            self._registry = CollectorRegistry()
            MultiProcessCollector(self._registry, self._folder)  # type: ignore[no-untyped-call]

    def answer(self, accept: str, encoding: str = "", query: str = "") -> Answer:
        """Status, headers and body: OpenMetrics with exemplars, or the older text, as `Accept` asks."""
        if WORKERS.uncounted():
            return 503, [("content-type", "text/plain; charset=utf-8")], f"{ADVICE}\n".encode()
        if self._folder:
            _forget_the_dead(Path(self._folder))
        encode, content_type = choose_encoder(accept)
        registry: Any = self._registry
        if names := parse_qs(query).get("name[]"):
            registry = registry.restricted_registry(names)
        body = encode(registry)
        if "gzip" in encoding:
            return 200, [("content-type", content_type), ("content-encoding", "gzip")], gzip.compress(body)
        return 200, [("content-type", content_type)], body


def _forget_the_dead(folder: Path) -> None:
    """A worker that was killed has no requests in progress any more."""
    for file in folder.glob("gauge_live*.db"):
        if (match := _LIVE_GAUGE.fullmatch(file.name)) and not _lives(int(match[1])):
            mark_process_dead(int(match[1]), str(folder))  # type: ignore[no-untyped-call]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def metrics_app(registry: CollectorRegistry) -> ASGIApp:
    """An ASGI app that serves the registry; see `Exposition`."""
    exposition = Exposition(registry)

    async def serve(scope: Any, _receive: Any, send: Any) -> None:
        accept, encoding = (
            ",".join(value.decode("latin-1") for name, value in scope["headers"] if name.lower() == wanted)
            for wanted in (b"accept", b"accept-encoding")
        )
        status, headers, body = exposition.answer(accept, encoding, scope.get("query_string", b"").decode("latin-1"))
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    return serve
