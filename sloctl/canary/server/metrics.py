"""What the server says of itself in `/metrics`, under the names in `conventions`."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sloctl import conventions as names

_QUERY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_AUDIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class ServerMetrics:
    """The metrics of one server; every label has values from a closed set."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.verdicts = Counter(
            names.CANARY_VERDICTS.removesuffix("_total"),
            "Verdicts that were sent.",
            ["platform", "service", "verdict", "reason"],
            registry=registry,
        )
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
