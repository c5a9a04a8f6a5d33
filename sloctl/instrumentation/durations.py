"""How long work took that no HTTP server of ours answered: messages, functions, outbound calls.

Each measure is one of OpenTelemetry's semantic conventions. It goes into a histogram that Prometheus scrapes, named as
Prometheus names it (`messaging_process_duration_seconds`); in a Lambda function, which nobody scrapes, it is printed in
CloudWatch's embedded metric format under its own name.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram

from sloctl.instrumentation.metrics import SEMCONV_BUCKETS

ERROR_TYPE: Final = "error.type"
# How many different values a label gets whose values come from outside; the rest is `_other`.
MOST: Final = 100
OTHER: Final = "_other"
EMF_VALUES: Final = 100  # of one metric in one line


@dataclass(frozen=True, slots=True)
class Measure:
    """A histogram of the semantic conventions: its name, what it says, and its labels beside `error.type`."""

    name: str
    help: str
    labels: tuple[str, ...]

    @property
    def prometheus(self) -> str:
        """Its name in Prometheus."""
        return f"{_underscored(self.name)}_seconds"


MESSAGES: Final = Measure(
    "messaging.process.duration", "Duration of handling messages.", ("messaging.system", "messaging.destination.name")
)
SENDING: Final = Measure(
    "messaging.client.operation.duration",
    "Duration of sending messages.",
    ("messaging.system", "messaging.destination.name"),
)
CALLS: Final = Measure(
    "http.client.request.duration",
    "Duration of HTTP client requests.",
    ("http.request.method", "server.address", "server.port", "http.response.status_code"),
)
HTTP: Final = Measure(
    "http.server.request.duration",
    "Duration of HTTP server requests.",
    ("http.request.method", "http.route", "http.response.status_code"),
)
FUNCTIONS: Final = Measure("faas.invoke_duration", "Duration of a function's invocations.", ("faas.trigger",))
RPC_SERVER: Final = Measure(
    "rpc.server.call.duration", "Duration of calls that are served.", ("rpc.method", "rpc.response.status_code")
)
RPC_CLIENT: Final = Measure(
    "rpc.client.call.duration",
    "Duration of calls to others.",
    ("rpc.method", "server.address", "rpc.response.status_code"),
)
IN_PROGRESS: Final = "messaging_process_active_messages"
Attributes = dict[str, Any]


class Durations:
    """The measures of one process.

    Args:
        registry: where histograms are registered, each when it is first used.
        edges: bucket bounds in seconds.
        namespace: of CloudWatch; with one, measures are kept for `emf_lines` instead.
        identity: `service.name`, a dimension of each.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        identity: dict[str, str],
        *,
        namespace: str | None = None,
        edges: tuple[float, ...] = SEMCONV_BUCKETS,
    ) -> None:
        self._registry = registry
        self._identity = identity
        self._namespace = namespace
        self._edges = edges
        self._histograms: dict[str, Histogram] = {}
        self._observe: dict[tuple[object, ...], Callable[[float], None]] = {}
        self._seen: dict[str, set[str]] = defaultdict(set)
        self._kept: dict[tuple[Measure, tuple[str, ...]], list[float]] = defaultdict(list)
        self._gauge: Gauge | None = None

    def observe(self, measure: Measure, attributes: Attributes, seconds: float) -> None:
        """Record one piece of work; attributes that are no label of the measure are left out."""
        values = tuple(self._value(name, attributes.get(name)) for name in (*measure.labels, ERROR_TYPE))
        if self._namespace is not None:
            self._kept[measure, values].append(seconds)
            return
        key = (measure.name, *values)
        record = self._observe.get(key)
        if record is None:
            record = self._observe[key] = self._histogram(measure).labels(*values).observe
        record(seconds)

    def begun(self, system: str, destination: str | None) -> Callable[[], None]:
        """A message is being handled, until what is returned is called."""
        if self._namespace is not None:
            return _nothing
        if self._gauge is None:
            self._gauge = _collector(self._registry, IN_PROGRESS, self._new_gauge)
        gauge = self._gauge.labels(system, self._value("messaging.destination.name", destination))
        gauge.inc()
        return gauge.dec

    def _new_gauge(self) -> Gauge:
        labels = tuple(map(_underscored, MESSAGES.labels))
        text = "Messages that are being handled."
        return Gauge(IN_PROGRESS, text, labels, registry=self._registry, multiprocess_mode="livesum")

    def emf_lines(self, moment: float | None = None) -> list[str]:
        """What was kept, as lines of CloudWatch's embedded metric format; they are handed out once."""
        kept, self._kept = self._kept, defaultdict(list)
        stamp = int((time.time() if moment is None else moment) * 1000)
        return [
            _emf(self._namespace or "", stamp, self._identity, measure, values, seconds[start : start + EMF_VALUES])
            for (measure, values), seconds in kept.items()
            for start in range(0, len(seconds), EMF_VALUES)
        ]

    def _value(self, name: str, value: object) -> str:
        if value is None:
            return ""
        text, seen = str(value), self._seen[name]
        if name in _BOUNDED or text in seen:
            return text
        if len(seen) == MOST:
            return OTHER
        seen.add(text)
        return text

    def _histogram(self, measure: Measure) -> Histogram:
        found = self._histograms.get(measure.name)
        if found is None:
            found = _collector(self._registry, measure.prometheus, lambda: self._new_histogram(measure))
            self._histograms[measure.name] = found
        return found

    def _new_histogram(self, measure: Measure) -> Histogram:
        labels = tuple(map(_underscored, (*measure.labels, ERROR_TYPE)))
        return Histogram(measure.prometheus, measure.help, labels, registry=self._registry, buckets=self._edges)


# Labels whose values are bounded where they are made.
_BOUNDED: Final = frozenset(
    {"messaging.system", "http.request.method", "http.response.status_code", "faas.trigger", "rpc.response.status_code"}
)


def _nothing() -> None:
    """In a Lambda function one invocation is in progress."""


def _underscored(name: str) -> str:
    return name.replace(".", "_")


def _collector(registry: CollectorRegistry, name: str, make: Callable[[], Any]) -> Any:
    """The collector of this name; another runtime of the process may have registered it."""
    found = registry._names_to_collectors.get(name)
    return make() if found is None else found


def _emf(
    namespace: str, stamp: int, identity: dict[str, str], measure: Measure, values: tuple[str, ...], found: list[float]
) -> str:
    """One line. A failure counts in the dimensions without `error.type` too, so that they hold the total."""
    dimensions = {**identity, **{name: value for name, value in zip(measure.labels, values, strict=False) if value}}
    sets = [list(dimensions)]
    if values[-1]:
        sets.append([*dimensions, ERROR_TYPE])
        dimensions[ERROR_TYPE] = values[-1]
    metric = {"Name": measure.name, "Unit": "Seconds"}
    about = {"Namespace": namespace, "Dimensions": sets, "Metrics": [metric]}
    return json.dumps({"_aws": {"Timestamp": stamp, "CloudWatchMetrics": [about]}, **dimensions, measure.name: found})
