"""The server's way to Prometheus.

It is asked once for all who wait, never for longer than they do, and left alone while it is down.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from sloctl.canary.server.breaker import Breaker
from sloctl.canary.server.coalescing import Coalescing
from sloctl.canary.server.metrics import ServerMetrics
from sloctl.canary.source.history import HistoryCache
from sloctl.canary.source.kept import KeptReleases
from sloctl.prometheus import Fault, PrometheusClient, PrometheusError, Sample, Series

LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")
_SENTENCES: Final = {
    Fault.UNREACHABLE: "Prometheus cannot be reached",
    Fault.TIMEOUT: "Prometheus did not answer in time",
    Fault.REFUSED: "Prometheus refused the query",
    Fault.BROKEN: "Prometheus answered something else than a result",
    Fault.TOO_MUCH: "Prometheus has more to answer than it may",
    Fault.PARTIAL: "Prometheus gave a part of the answer only",
}
"""What callers are told; details, which hold addresses and queries, go to the log."""
_DOWN: Final = {Fault.UNREACHABLE, Fault.TIMEOUT, Fault.BROKEN}


CLOCK: Final = "time()"
CLOCK_SECONDS: Final = 2.0


class PrometheusClock:
    """The clock of Prometheus: read now and then, and carried on by ours, which runs as fast."""

    def __init__(self) -> None:
        self._known: tuple[float, float] | None = None  # ours when it was read, and theirs

    def read(self, ask: Callable[[], tuple[Sample, ...]]) -> tuple[Sample, ...]:
        """Their time as `ask` answers it."""
        now, known = time.monotonic(), self._known
        if known is not None and now - known[0] < CLOCK_SECONDS:
            theirs = known[1] + now - known[0]
            return (Sample({}, theirs, theirs),)
        found = ask()
        if len(found) == 1:
            self._known = now, found[0].value
        return found


class Shared:
    """What all analyses of one server have in common.

    Args:
        prometheus: the client of the configuration in force.
    """

    def __init__(
        self, prometheus: Callable[[], PrometheusClient], metrics: ServerMetrics, breaker: Breaker | None = None
    ) -> None:
        self.prometheus = prometheus
        self.metrics = metrics
        self.breaker = breaker or Breaker(on_change=metrics.breaker_open.set)
        self.coalescing = Coalescing(metrics.coalesced.inc)
        self.history = HistoryCache()
        self.kept = KeptReleases()
        self.clock = PrometheusClock()


class TimedQueries:
    """The queries of one analysis, which has so many seconds in all."""

    def __init__(self, shared: Shared, seconds: float) -> None:
        self._shared = shared
        self._until = time.monotonic() + seconds

    def query(self, promql: str, at: float | None = None) -> tuple[Sample, ...]:
        """As `PrometheusClient.query`; its clock is read once in a few seconds."""
        if promql != CLOCK or at is not None:
            return self._ask((promql, at), lambda client: client.query(promql, at))
        return self._shared.clock.read(lambda: self._ask(CLOCK, lambda client: client.query(CLOCK)))

    def query_range(self, promql: str, start: float, end: float, step: float) -> tuple[Series, ...]:
        """As `PrometheusClient.query_range`."""
        return self._ask((promql, start, end, step), lambda client: client.query_range(promql, start, end, step))

    def samples(self, selector: str, length: str, at: float) -> tuple[Series, ...]:
        """As `PrometheusClient.samples`."""
        return self._ask((selector, length, at), lambda client: client.samples(selector, length, at))

    def _ask(self, key: Hashable, call: Callable[[PrometheusClient], T]) -> T:
        left = self._until - time.monotonic()
        try:
            return self._shared.coalescing.once(key, lambda: self._observed(call, left), left)
        except TimeoutError as error:
            raise PrometheusError(Fault.TIMEOUT, _SENTENCES[Fault.TIMEOUT]) from error

    def _observed(self, call: Callable[[PrometheusClient], T], left: float) -> T:
        shared = self._shared
        if not shared.breaker.allows():
            raise PrometheusError(Fault.UNREACHABLE, "Prometheus failed again and again; it is asked again soon")
        began, outcome = time.perf_counter(), "ok"
        try:
            answer = call(shared.prometheus().within(left))
        except PrometheusError as error:
            outcome = error.fault.value
            LOG.warning("query failed: %s", error)
            (shared.breaker.failed if error.fault in _DOWN else shared.breaker.succeeded)()
            raise PrometheusError(error.fault, _SENTENCES[error.fault]) from error
        except BaseException:
            shared.breaker.failed()
            raise
        finally:
            shared.metrics.query_seconds.labels(outcome).observe(time.perf_counter() - began)
        shared.breaker.succeeded()
        return answer
