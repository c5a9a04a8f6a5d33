"""What the server says of itself in `/metrics`, under the names in `conventions`."""

from __future__ import annotations

import threading
from collections import OrderedDict
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sloctl import conventions as names
from sloctl.canary.audit.chain import Subject

MOST_JUDGED: Final = 1024
VERDICTS: Final = {"promote": 1, "continue": 0, "rollback": -1}

_QUERY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_AUDIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ServerMetrics:
    """The metrics of one server; every label has values from a closed set, or of the releases judged last."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.verdicts = Counter(
            names.CANARY_VERDICTS.removesuffix("_total"),
            "Verdicts that were sent, and the page that shows their evidence.",
            ["platform", "service", "verdict", "reason", "page"],
            registry=registry,
        )
        self._verdict = Gauge(
            names.CANARY_VERDICT,
            "The last verdict on a step of a release: 1 promote, 0 continue, -1 rollback.",
            ["platform", "service", "canary", "revision", "step"],
            registry=registry,
        )
        self._judged: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._lock = threading.Lock()
        self.query_seconds = Histogram(
            names.CANARY_QUERY_SECONDS,
            "Time that Prometheus took to answer.",
            ["outcome"],
            registry=registry,
            buckets=_QUERY_BUCKETS,
        )
        self.coalesced = Counter(
            names.CANARY_COALESCED.removesuffix("_total"),
            "Queries that another analysis was asking already.",
            registry=registry,
        )
        self.in_flight = Gauge(names.CANARY_IN_FLIGHT, "Analyses that are under way.", registry=registry)
        self.rejected = Counter(
            names.CANARY_REJECTED.removesuffix("_total"),
            "Requests that got no verdict.",
            ["reason"],
            registry=registry,
        )
        self.breaker_open = Gauge(
            names.CANARY_BREAKER_OPEN, "1 while Prometheus is left alone after failures.", registry=registry
        )
        self.audit_seconds = Histogram(
            names.CANARY_AUDIT_SECONDS,
            "Time from a verdict until it is on disk.",
            registry=registry,
            buckets=_AUDIT_BUCKETS,
        )
        self.audit_writable = Gauge(names.CANARY_AUDIT_WRITABLE, "1 while the audit store works.", registry=registry)
        self.reloaded = Gauge(
            names.CANARY_RELOADED, "0 while the newest configuration has errors and is not used.", registry=registry
        )
        self.loaded_at = Gauge(names.CANARY_LOADED_AT, "When the configuration in force was read.", registry=registry)
        build = Gauge(names.CANARY_BUILD, "The version of sloctl that runs.", ["version"], registry=registry)
        build.labels(version("sloctl")).set(1)

    def judged(self, subject: Subject, step: int, verdict: str) -> None:
        """Show the last verdict on a step of a release, of the `MOST_JUDGED` that were judged last."""
        labels = (subject.platform, subject.service, subject.canary, subject.revision, str(step))
        with self._lock:
            self._verdict.labels(*labels).set(VERDICTS[verdict])
            self._judged[labels] = None
            self._judged.move_to_end(labels)
            if len(self._judged) > MOST_JUDGED:
                self._verdict.remove(*self._judged.popitem(last=False)[0])
