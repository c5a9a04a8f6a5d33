"""Durations of what nobody scrapes, such as a Lambda function: printed for CloudWatch, or sent by OTLP.

Both keep OpenTelemetry's own names, such as `messaging.process.duration`.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.metrics import Histogram, MeterProvider, UpDownCounter

from sloctl.instrumentation.durations import (
    ERROR_TYPE,
    HTTP,
    IN_PROGRESS,
    IN_PROGRESS_HELP,
    MESSAGES,
    Attributes,
    Durations,
    Measure,
    Scraped,
)
from sloctl.instrumentation.metrics import ACTIVE_HELP, CLOSED_HELP, OPEN_HELP, SEMCONV_BUCKETS, TENANTS_HELP

EMF_VALUES: Final = 100  # of one metric in one line
METER: Final = "sloctl.instrumentation"


class Printed(Durations):
    """Lines of CloudWatch's embedded metric format on standard output, which Lambda takes as metrics.

    Args:
        namespace: of CloudWatch.
        identity: dimensions of each, such as `service.name`.
    """

    def __init__(self, namespace: str, identity: dict[str, str]) -> None:
        super().__init__()
        self._namespace = namespace
        self._identity = identity
        self._kept: dict[tuple[Measure, tuple[str, ...]], list[float]] = defaultdict(list)

    def observe(self, measure: Measure, attributes: Attributes, seconds: float) -> None:
        """Keep one piece of work until the invocation is over."""
        self._kept[measure, self.labels(measure, attributes)].append(seconds)

    def flush(self, milliseconds: int) -> None:  # noqa: ARG002 - printing takes no time
        """Print what was kept."""
        for line in self.lines():
            print(line, flush=True)  # noqa: T201 - CloudWatch reads metrics from standard output

    def close(self) -> None:
        """Print what was kept."""
        self.flush(0)

    def lines(self, moment: float | None = None) -> list[str]:
        """What was kept; it is handed out once."""
        kept, self._kept = self._kept, defaultdict(list)
        stamp = int((time.time() if moment is None else moment) * 1000)
        return [
            self._line(stamp, measure, values, seconds[start : start + EMF_VALUES])
            for (measure, values), seconds in kept.items()
            for start in range(0, len(seconds), EMF_VALUES)
        ]

    def _line(self, stamp: int, measure: Measure, values: tuple[str, ...], found: list[float]) -> str:
        """A failure counts in the dimensions without `error.type` too, so that they hold the total."""
        said = {name: value for name, value in zip(measure.labels, values, strict=False) if value}
        dimensions = {**self._identity, **said}
        sets = [list(dimensions)]
        if values[-1]:
            sets.append([*dimensions, ERROR_TYPE])
            dimensions[ERROR_TYPE] = values[-1]
        metric = {"Name": measure.name, "Unit": "Seconds"}
        about = {"Namespace": self._namespace, "Dimensions": sets, "Metrics": [metric]}
        return json.dumps(
            {"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [about]}, **dimensions, measure.name: found}
        )


class Sent(Durations):
    """Histograms of an OpenTelemetry meter provider, whose reader sends them.

    Args:
        provider: of the SDK.
    """

    def __init__(self, provider: MeterProvider) -> None:
        super().__init__()
        self.provider: Any = provider
        self._meter = provider.get_meter(METER)
        self._histograms: dict[str, Histogram] = {}
        self._active: UpDownCounter | None = None

    def observe(self, measure: Measure, attributes: Attributes, seconds: float) -> None:
        """Record one piece of work."""
        histogram = self._histograms.get(measure.name)
        if histogram is None:
            histogram = self._histograms[measure.name] = self._meter.create_histogram(
                measure.name, "s", measure.help, explicit_bucket_boundaries_advisory=SEMCONV_BUCKETS
            )
        values = self.labels(measure, attributes)
        named = zip((*measure.labels, ERROR_TYPE), values, strict=True)
        histogram.record(seconds, {name: _typed(attributes.get(name), value) for name, value in named if value})

    def begun(self, system: str, destination: str | None) -> Callable[[], None]:
        """A message is being handled, until what is returned is called."""
        if self._active is None:
            self._active = self._meter.create_up_down_counter(IN_PROGRESS, "{message}", IN_PROGRESS_HELP)
        active = self._active
        values = (system, self.bounded("messaging.destination.name", destination))
        said = {name: value for name, value in zip(MESSAGES.labels, values, strict=True) if value}
        active.add(1, said)
        return lambda: active.add(-1, said)

    def flush(self, milliseconds: int) -> None:
        """Send what was recorded; what does not arrive in time is sent by the next flush."""
        self.provider.force_flush(milliseconds)

    def close(self) -> None:
        """Send what was recorded, and stop."""
        self.provider.shutdown()


class Both(Durations):
    """Scraped by Prometheus, and sent as well."""

    def __init__(self, scraped: Scraped, sent: Sent) -> None:
        super().__init__()
        self._each: tuple[Durations, ...] = (scraped, sent)
        self.provider = sent.provider

    def observe(self, measure: Measure, attributes: Attributes, seconds: float) -> None:
        """Record one piece of work."""
        for each in self._each:
            each.observe(measure, attributes, seconds)

    def begun(self, system: str, destination: str | None) -> Callable[[], None]:
        """A message is being handled, until what is returned is called."""
        over = [each.begun(system, destination) for each in self._each]

        def end() -> None:
            for each in over:
                each()

        return end

    def flush(self, milliseconds: int) -> None:
        """Send what was recorded."""
        for each in self._each:
            each.flush(milliseconds)

    def close(self) -> None:
        """Send what was recorded, and stop."""
        for each in self._each:
            each.close()


class SentHttp:
    """What `HttpMetrics` has of requests, websockets and tenants, sent as well.

    Args:
        provider: of the SDK.
        buckets: bounds of the durations in seconds.
    """

    def __init__(self, provider: MeterProvider, buckets: Sequence[float]) -> None:
        meter = provider.get_meter(METER)
        self._duration = meter.create_histogram(
            HTTP.name, "s", HTTP.help, explicit_bucket_boundaries_advisory=list(buckets)
        )
        self._active = meter.create_up_down_counter("http.server.active_requests", "{request}", ACTIVE_HELP)
        self._open = meter.create_up_down_counter("websocket.server.active_connections", "{connection}", OPEN_HELP)
        self._closed = meter.create_counter("websocket.server.connections", "{connection}", CLOSED_HELP)
        self._tenants = meter.create_counter("tenant.requests", "", TENANTS_HELP)

    def in_progress(self, change: int) -> None:
        """A request began or is over."""
        self._active.add(change)

    def observe(self, method: str, route: str, status: int, seconds: float, error_type: str) -> None:
        """Record one finished request."""
        said: Attributes = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        if error_type:
            said[ERROR_TYPE] = error_type
        self._duration.record(seconds, said)

    def count_tenant(self, tenant: str, route: str, status: int) -> None:
        """Count one request of a tenant."""
        self._tenants.add(1, {"tenant": tenant, "http.route": route, "http.response.status_code": status})

    def connected(self, route: str, change: int) -> None:
        """A websocket was accepted, or one that was is closed."""
        self._open.add(change, {"http.route": route})

    def closed(self, route: str, code: str) -> None:
        """A websocket was closed, or refused."""
        self._closed.add(1, {"http.route": route, "websocket.close_code": code})


def _typed(value: object, text: str) -> str | int:
    """A status or a port stays a number."""
    return value if isinstance(value, int) and str(value) == text else text
