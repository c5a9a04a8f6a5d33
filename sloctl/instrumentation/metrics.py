"""The metrics that the generated rules read, with bounded labels.

`http_server_request_duration_seconds{http_request_method,http_route,http_response_status_code,error_type}` is
OpenTelemetry's `http.server.request.duration` as Prometheus names it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, make_asgi_app
from prometheus_client.multiprocess import MultiProcessCollector

from sloctl.instrumentation.semconv import METHODS, OTHER_METHOD

DURATION: Final = "http_server_request_duration_seconds"
TENANTS: Final = "tenant_requests"
# Semantic conventions for HTTP metrics, advised bounds of http.server.request.duration.
SEMCONV_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
OTHER_TENANT: Final = "_other"
NO_TENANT: Final = "_none"

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]


class HttpMetrics:
    """One histogram, and one counter when tenants are on, in one registry.

    Args:
        registry: where they are registered.
        edges: bucket bounds in seconds besides those of the semantic conventions, or instead of them.
        tenants: a closed list, or how many different ones get a label; None for no tenant metric.
    """

    def __init__(
        self, registry: CollectorRegistry, buckets: Sequence[float], tenants: Iterable[str] | int | None = None
    ) -> None:
        self.buckets = tuple(buckets)
        self.tenants = TenantLabels(tenants) if tenants is not None else None
        labels = ("http_request_method", "http_route", "http_response_status_code", "error_type")
        self._duration = Histogram(
            DURATION, "Duration of HTTP server requests.", labels, registry=registry, buckets=self.buckets
        )
        self._observe: dict[tuple[str, str, int, str], Callable[..., None]] = {}
        self._count: dict[tuple[str, str, int], Callable[[], None]] = {}
        if self.tenants is not None:
            by_tenant = ("tenant", "http_route", "http_response_status_code")
            self._tenants = Counter(TENANTS, "HTTP server requests by tenant.", by_tenant, registry=registry)

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

    def count_tenant(self, tenant: str | None, route: str, status: int) -> None:
        """Count one request of a tenant, when tenants are on."""
        if self.tenants is None:
            return
        key = (self.tenants.label(tenant), route, status)
        count = self._count.get(key)
        if count is None:
            count = self._count[key] = self._tenants.labels(key[0], route, str(status)).inc
        count()


class TenantLabels:
    """A bounded set of label values: a closed list, or the first ones up to a cap; the rest is `_other`."""

    def __init__(self, tenants: Iterable[str] | int) -> None:
        self._cap = tenants if isinstance(tenants, int) else 0
        self._known: set[str] = set() if isinstance(tenants, int) else set(tenants)

    def label(self, tenant: str | None) -> str:
        """The label value of a tenant; `_none` where nobody said who is served."""
        if tenant is None:
            return NO_TENANT
        if tenant in self._known:
            return tenant
        if len(self._known) < self._cap:
            self._known.add(tenant)
            return tenant
        return OTHER_TENANT


def with_edges(edges: Iterable[float]) -> tuple[float, ...]:
    """The bounds of the semantic conventions and these, in order."""
    return tuple(sorted({*SEMCONV_BUCKETS, *(float(edge) for edge in edges)}))


def metrics_app(registry: CollectorRegistry) -> ASGIApp:
    """An ASGI app that serves the registry: OpenMetrics with exemplars, or the older text, as `Accept` asks.

    In prometheus-client's multiprocess mode (`PROMETHEUS_MULTIPROC_DIR`) it sums up all processes; that mode has no
    exemplars.
    """
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return make_asgi_app(registry)
    summed = CollectorRegistry()
    MultiProcessCollector(summed, folder)  # type: ignore[no-untyped-call]
    return make_asgi_app(summed)
