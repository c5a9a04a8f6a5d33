"""How long work took that no HTTP server of ours answered: messages, functions, outbound calls.

Each measure is one of OpenTelemetry's semantic conventions. It goes into a histogram that Prometheus scrapes, named as
Prometheus names it (`messaging_process_duration_seconds`). A Lambda function is scraped by nobody; see `pushed`.
"""

from __future__ import annotations

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
IN_PROGRESS: Final = "messaging.process.active_messages"
IN_PROGRESS_HELP: Final = "Messages that are being handled."
Attributes = dict[str, Any]


class Durations:
    """Takes the measures of one process; what becomes of them is said by its kinds."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = defaultdict(set)

    def observe(self, measure: Measure, attributes: Attributes, seconds: float) -> None:
        """Record one piece of work; attributes that are no label of the measure are left out."""
        raise NotImplementedError

    def begun(self, system: str, destination: str | None) -> Callable[[], None]:  # noqa: ARG002 - for those that count
        """A message is being handled, until what is returned is called."""
        return _nothing

    def flush(self, milliseconds: int) -> None:
        """Hand over what is kept, within this time; called before the process is frozen."""

    def close(self) -> None:
        """The end of the process."""

    def labels(self, measure: Measure, attributes: Attributes) -> tuple[str, ...]:
        """The values of a measure's labels and of `error.type`, bounded; empty where there is none."""
        return tuple(self.bounded(name, attributes.get(name)) for name in (*measure.labels, ERROR_TYPE))

    def bounded(self, name: str, value: object) -> str:
        """The value of a label, or `_other` when it has too many."""
        if value is None:
            return ""
        text, seen = str(value), self._seen[name]
        if name in _BOUNDED or text in seen:
            return text
        if len(seen) == MOST:
            return OTHER
        seen.add(text)
        return text


class Scraped(Durations):
    """Histograms that Prometheus scrapes.

    Args:
        registry: where they are registered, each when it is first used.
        edges: bucket bounds in seconds.
    """

    def __init__(self, registry: CollectorRegistry, edges: tuple[float, ...] = SEMCONV_BUCKETS) -> None:
        super().__init__()
        self._registry = registry
        self._edges = edges
        self._histograms: dict[str, Histogram] = {}
        self._observe: dict[tuple[object, ...], Callable[[float], None]] = {}
        self._gauge: Gauge | None = None

    def observe(self, measure: Measure, attributes: Attributes, seconds: float) -> None:
        """Record one piece of work."""
        values = self.labels(measure, attributes)
        key = (measure.name, *values)
        record = self._observe.get(key)
        if record is None:
            record = self._observe[key] = self._histogram(measure).labels(*values).observe
        record(seconds)

    def begun(self, system: str, destination: str | None) -> Callable[[], None]:
        """A message is being handled, until what is returned is called."""
        if self._gauge is None:
            self._gauge = self._collector(_underscored(IN_PROGRESS), self._new_gauge)
        gauge = self._gauge.labels(system, self.bounded("messaging.destination.name", destination))
        gauge.inc()
        return gauge.dec

    def _new_gauge(self) -> Gauge:
        labels = tuple(map(_underscored, MESSAGES.labels))
        name = _underscored(IN_PROGRESS)
        return Gauge(name, IN_PROGRESS_HELP, labels, registry=self._registry, multiprocess_mode="livesum")

    def _histogram(self, measure: Measure) -> Histogram:
        found = self._histograms.get(measure.name)
        if found is None:
            found = self._collector(measure.prometheus, lambda: self._new_histogram(measure))
            self._histograms[measure.name] = found
        return found

    def _new_histogram(self, measure: Measure) -> Histogram:
        labels = tuple(map(_underscored, (*measure.labels, ERROR_TYPE)))
        return Histogram(measure.prometheus, measure.help, labels, registry=self._registry, buckets=self._edges)

    def _collector(self, name: str, make: Callable[[], Any]) -> Any:
        """The collector of this name; another runtime of the process may have registered it."""
        found = self._registry._names_to_collectors.get(name)
        return make() if found is None else found


# Labels whose values are bounded where they are made.
_BOUNDED: Final = frozenset(
    {"messaging.system", "http.request.method", "http.response.status_code", "faas.trigger", "rpc.response.status_code"}
)


def _nothing() -> None:
    """Nobody counts what is in progress."""


def _underscored(name: str) -> str:
    return name.replace(".", "_")
