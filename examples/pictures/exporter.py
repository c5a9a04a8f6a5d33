"""Every metric that specifications read, served on loopback: steady traffic, some of it bad.

Values are functions of time, so that nothing has to be counted: a counter is its rate times the time since start.
Each SLO has its own share of bad events, so that every state is there to be seen.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from itertools import product
from statistics import NormalDist

from sloctl.backends.grafana.raw_queries import counted
from sloctl.conventions import CANARY_VERDICTS
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.indicator import (
    Freshness,
    Latency,
    Probe,
    Query,
    Ratio,
    RunningTotal,
    Saturation,
    SliceIndicator,
    Threshold,
    Throughput,
)
from sloctl.model.selector import Expression, MatchOperator, Selector
from testing.exposition import Exposition

Value = Callable[[float], float]
Labels = tuple[tuple[str, str], ...]

NORMAL = NormalDist()
SPREAD = 0.6
"""Of the logarithm of latencies."""
VERSIONS = ("6b9f", "7c2d")
"""Values of the label that tells two versions apart."""
VERSION_LABELS = ("rollouts_pod_template_hash", "function_version")
"""Labels that the `arms` of the specifications match."""
ALONE = "alone"
"""The job of metrics whose selectors name none."""
TRAFFIC = dict(zip(VERSIONS, (18_800.0, 1_200.0), strict=True))
"""Events a second of a series of each version."""
SPLIT_VALUES: Mapping[str, tuple[str, ...]] = {
    "tenant": ("acme", "globex", "initech", "umbrella", "hooli"),
    "region": ("ap-south-1", "eu-west-1", "us-east-1"),
    "http_route": ("/accounts/{id}", "/transfers", "/transfers/{id}", "/limits"),
    "journey": ("dashboard-load", "event-crud", "report-generation", "webhook-ingestion"),
    "vantage_point": ("frankfurt", "mumbai", "oregon", "sao-paulo"),
    "flow": ("search", "basket", "pay"),
    "table": ("shipments", "events"),
    "shard": ("1", "2", "3", "4", "5", "6"),
}
SHARES = (0.6, 0.35, 0.9, 0.4, 1.2, 0.5, 0.3)
"""Burn rates, by the place of an SLO in the catalogue."""
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class Exporter:
    """Series by job, metric and labels."""

    began: float = field(default_factory=time.time)
    series: dict[str, dict[str, dict[Labels, Value]]] = field(default_factory=dict)

    def add(self, metric: str, labels: Mapping[str, str], value: Value) -> None:
        """One more series; a `job` label chooses the target that serves it."""
        job = labels.get("job", ALONE)
        rest = tuple(sorted((name, text) for name, text in labels.items() if name != "job"))
        self.series.setdefault(job, {}).setdefault(metric, {}).setdefault(rest, value)

    def text(self, job: str) -> str:
        """The metrics of one job, as Prometheus reads them."""
        elapsed, lines = time.time() - self.began, []
        for metric, rows in self.series.get(job, {}).items():
            for labels, value in rows.items():
                inside = ",".join(f'{name}="{text}"' for name, text in labels)
                lines.append(f"{metric}{{{inside}}} {value(elapsed):g}")
        return "\n".join(lines) + "\n"


def exporter_of(catalogue: Catalogue) -> Exporter:
    """An exporter of everything that the catalogue reads."""
    exporter = Exporter()
    for index, slo in enumerate(catalogue.slos):
        _add_slo(exporter, slo, SHARES[index % len(SHARES)] * float(slo.objective.error_budget), index)
    for platform in catalogue.platforms:
        for service in platform.services:
            if service.canary:
                _add_verdicts(exporter, platform.name, service.name)
            if service.cost:
                _add_expression(exporter, service.cost, "usd_per_hour")
        if platform.dashboards.deploys:
            _add_expression(exporter, platform.dashboards.deploys, "")
    return exporter


def _add_slo(exporter: Exporter, slo: Slo, share: float, index: int) -> None:
    for number, split in enumerate(_splits(slo)):
        worse = share * (0.3 + 0.4 * number)
        _add_split(exporter, slo, split, worse, index + number)
    for condition in slo.exclude_when:
        for name in dict.fromkeys(selector.metric for selector in condition.selectors):
            exporter.add(name, {}, lambda _: 5000.0)


def _splits(slo: Slo) -> Iterator[dict[str, str]]:
    values = [SPLIT_VALUES.get(label, ("one", "two")) for label in slo.by]
    return (dict(zip(slo.by, chosen, strict=True)) for chosen in product(*values))


def _add_split(exporter: Exporter, slo: Slo, split: dict[str, str], share: float, index: int) -> None:
    if slo.sla:
        exporter.add(slo.sla.value.metric, _labels(slo.sla.value) | split, lambda _: 12_000.0)
    match slo.indicator:
        case Ratio() as ratio:
            _add_ratio(exporter, ratio, split, share)
            _add_processes(exporter, slo)
        case Latency() as latency:
            _add_latency(exporter, latency, split, share)
            _add_processes(exporter, slo)
        case Query():
            raise NotImplementedError("an exporter cannot guess what a query reads")
        case slices:
            _add_slices(exporter, slices, split, share, index)


def _add_slices(exporter: Exporter, indicator: SliceIndicator, split: dict[str, str], share: float, index: int) -> None:
    match indicator:
        case Probe(gauge=gauge):
            exporter.add(gauge.metric, _labels(gauge) | split, _flapping(index, share))
        case Freshness(timestamp=timestamp, age=age):
            one = timestamp or age
            assert one is not None
            newest = exporter.began if timestamp else 0
            exporter.add(one.metric, _labels(one) | split, lambda t: newest + (t if newest else 0) - 5)
        case Throughput(counter=counters):
            for counter in counters:
                exporter.add(counter.metric, _labels(counter) | split, _rate(20_000))
        case Saturation(used=used, capacity=capacity):
            for each in used:
                exporter.add(each.metric, _labels(each) | split, _filling(index))
            for selector in capacity:
                exporter.add(selector.metric, _labels(selector) | split, lambda _: 100.0)
        case Threshold(value=value):
            _add_expression(exporter, value, "gauge")


def _add_ratio(exporter: Exporter, ratio: Ratio, split: dict[str, str], share: float) -> None:
    for version, heavier in zip(VERSIONS, (1, 2.5), strict=True):
        traffic = TRAFFIC[version]
        for selector in ratio.total or ():
            rate = traffic if isinstance(ratio.counts, RunningTotal) else None
            exporter.add(
                selector.metric, _labels(selector) | split | _version(version), _rate(rate) if rate else _level(traffic)
            )
        for selector in ratio.bad or ():
            rate = traffic * share * heavier
            value = _rate(rate) if isinstance(ratio.counts, RunningTotal) else _level(rate)
            exporter.add(selector.metric, _labels(selector) | split | _version(version), value)
        for selector in ratio.good or ():
            exporter.add(
                selector.metric, _labels(selector) | split | _version(version), _rate(traffic * (1 - share * heavier))
            )


def _add_latency(exporter: Exporter, latency: Latency, split: dict[str, str], share: float) -> None:
    bounds = sorted({*BUCKETS, float(latency.at_most)})
    for version, slower in zip(VERSIONS, (1.0, 1.12), strict=True):
        traffic = TRAFFIC[version]
        middle = float(latency.at_most) * slower * math.exp(SPREAD * NORMAL.inv_cdf(max(share, 1e-6)))
        for selector in latency.histogram:
            labels = _labels(selector) | split | _version(version) | {"http_response_status_code": "200"}
            for bound in bounds:
                part = _below(bound, middle)
                exporter.add(f"{selector.metric}_bucket", labels | {"le": f"{bound:g}"}, _rate(traffic * part))
            exporter.add(f"{selector.metric}_bucket", labels | {"le": "+Inf"}, _rate(traffic))
            exporter.add(f"{selector.metric}_count", labels, _rate(traffic))
            exporter.add(f"{selector.metric}_sum", labels, _rate(traffic * middle))


def _add_verdicts(exporter: Exporter, platform: str, service: str) -> None:
    """What the canary server says of itself: it waits for evidence at first, and promotes then."""
    labels = {"platform": platform, "service": service}
    waits = {"verdict": "continue", "reason": "insufficient_evidence"}
    exporter.add(CANARY_VERDICTS, labels | waits, lambda elapsed: min(elapsed, 100) / 2)
    promotes = {"verdict": "promote", "reason": "healthy"}
    exporter.add(CANARY_VERDICTS, labels | promotes, lambda elapsed: max(elapsed - 100, 0) / 2)


def _add_processes(exporter: Exporter, slo: Slo) -> None:
    """The CPU of the processes that count events, as each official client library exports it."""
    one = counted(slo)[0]
    labels = _labels(one)
    target = {matcher.label: labels[matcher.label] for matcher in one.on(slo.sampling.target_labels)}
    if target:
        for version, cores in zip(VERSIONS, (0.42, 0.55), strict=True):
            exporter.add("process_cpu_seconds_total", target | _version(version), _rate(cores))


def _below(bound: float, middle: float) -> float:
    """The share of a log-normal distribution below a bound."""
    return 0.5 * (1 + math.erf(math.log(bound / middle) / (SPREAD * math.sqrt(2))))


def _add_expression(exporter: Exporter, expression: Expression, kind: str) -> None:
    for name in dict.fromkeys(selector.metric for selector in expression.selectors):
        inside = re.search(rf"{name}{{([^}}]*)}}", expression.text)
        labels = dict(re.findall(r'(\w+)="([^"]*)"', inside[1])) if inside else {}
        if kind == "usd_per_hour" and not labels:
            for namespace in ("tracking", "ingestion", "stream", "web"):
                exporter.add(name, {"namespace": namespace}, _level(3.0 + len(namespace) / 2))
        elif kind == "usd_per_hour":
            for version, part in zip(VERSIONS, (0.93, 0.07), strict=True):
                exporter.add(name, labels | _version(version), _level(24.0 * part))
        elif kind == "gauge" and "cost" in name:
            exporter.add(name, labels | _version(VERSIONS[1]), _level(24.0))
        else:
            exporter.add(name, labels, _wave(3.0) if kind else lambda t: float(int(t) // 200))


def _version(version: str) -> dict[str, str]:
    return dict.fromkeys(VERSION_LABELS, version)


def _labels(selector: Selector) -> dict[str, str]:
    """Labels that a selector's matchers accept."""
    return {
        matcher.label: _sample(matcher.value) if matcher.operator is MatchOperator.REGEX else matcher.value
        for matcher in selector.matchers
        if matcher.operator in {MatchOperator.EQUAL, MatchOperator.REGEX}
    }


def _sample(pattern: str) -> str:
    return re.sub(r"\.[+*]?", "0", pattern.split("|", maxsplit=1)[0])


def _rate(a_second: float) -> Value:
    return lambda t: float(int(a_second * (t + 3600)))


def _level(value: float) -> Value:
    return lambda t: value * (1 + 0.05 * math.sin(t / 20))


def _wave(value: float) -> Value:
    return lambda t: value * (1 + math.sin(t / 15))


def _filling(index: int) -> Value:
    start = 42.0 + 8 * (index % 5)
    return lambda t: min(97.0, start + t / 600 + 2 * math.sin(t / 9 + index))


def _flapping(index: int, share: float) -> Value:
    period = 97 if share < 0.002 else 41
    return lambda t: 0.0 if share and int(t + 31 * index) % period < 2 else 1.0


@contextmanager
def serving(exporter: Exporter) -> Iterator[str]:
    """The exporter on a free loopback port, one path a job; yields its host and port."""

    class Handler(Exposition):
        def do_GET(self) -> None:
            self.answer(exporter.text(self.path.removeprefix("/metrics/")))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
