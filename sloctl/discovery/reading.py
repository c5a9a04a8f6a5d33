"""Asking a Prometheus what the templates are about: a handful of queries a source, however many services it serves."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from sloctl.discovery.sources import Read, Source
from sloctl.model.quantities import Duration
from sloctl.model.selector import Matcher, MatchOperator, Selector
from sloctl.prometheus import PrometheusClient
from sloctl.promql.selectors import selector_text

Values: TypeAlias = tuple[str, ...]
"""The values of a source's labels, in their order: one use of its template."""

_SHORTEST: Final = Duration.of(minutes=5)
_STATUS: Final = "[1-5]xx|[1-5][0-9][0-9]|(?i:success|succeeded|ok|error|errors|fail|failed|failure)"
_STATUS_LABELS: Final = ("code", "status", "status_code", "response_code", "outcome", "result")
_OWN: Final = re.compile(r"(?:prometheus|promhttp|net_conntrack|go|process|slo)[_:].*")


@dataclass(slots=True)
class Seen:
    """What the series of one SLO held.

    Attributes:
        total: events; None where the SLI counts none.
        bad: bad events.
        buckets: observations at or below each bound of a histogram, rising.
        good_share: the mean of a gauge between 0 and 1.
    """

    total: float | None = None
    bad: float = 0.0
    buckets: list[tuple[Decimal, float]] = field(default_factory=list)
    good_share: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """One use of a template.

    Attributes:
        source: the template.
        arguments: the values of the parameters that labels give.
        seen: what there is of each of its SLOs; one that has no series is missing.
    """

    source: Source
    arguments: Mapping[str, str]
    seen: Mapping[str, Seen]


def metric_names(client: PrometheusClient) -> frozenset[str]:
    """The name of every metric that the server knows."""
    return frozenset(client.get("label/__name__/values", {}))


def history(client: PrometheusClient, since: Duration) -> Duration:
    """The longest of `since`, half of it, and so on that the server's targets reach back."""
    while since > _SHORTEST and not client.query(f"count(up offset {since})"):
        since = Duration(since.milliseconds // 2 // 60_000 * 60_000)
    return max(since, _SHORTEST)


def find(source: Source, names: frozenset[str], client: PrometheusClient, since: Duration) -> Iterator[Found]:
    """Every use of a template that the series of the last `since` allow."""
    if names.isdisjoint((source.first.metric, f"{source.first.metric}_bucket")):
        return
    seen = defaultdict[Values, dict[str, Seen]](dict)
    for read in source.reads:
        for values, what in _seen(source, read, names, client, since):
            seen[values][read.name] = what
    for values in _chosen(source, seen):
        parameters = (*source.labels, *source.chosen)
        yield Found(source, dict(zip(parameters, values, strict=True)), seen[values])


def unknown(names: frozenset[str], known: frozenset[str], client: PrometheusClient) -> list[tuple[str, str]]:
    """Counters of no known source with a label that holds nothing but what looks like a status, and that label."""
    found = list[tuple[str, str]]()
    for label in _STATUS_LABELS:
        every = f'{{__name__=~".+_(total|count)", {label}!=""'
        promql = f"count by (__name__) ({every}}})"
        promql += f' unless on (__name__) count by (__name__) ({every}, {label}!~"{_STATUS}"}})'
        metrics = {sample.labels.get("__name__", "") for sample in client.query(promql)}
        found += [(metric, label) for metric in sorted(metrics & names - known) if not _OWN.fullmatch(metric)]
    return found


def _seen(
    source: Source, read: Read, names: frozenset[str], client: PrometheusClient, since: Duration
) -> Iterator[tuple[Values, Seen]]:
    sides = read.selectors
    match read.kind:
        case "ratio":
            grow = "sum_over_time" if read.counts else "increase"
            first = "total" if "total" in sides else "good"
            counted = {side: _sums(source, sides[side], grow, client, since) for side in (first, "bad")}
            for values, events in counted[first].items():
                bad = counted["bad"].get(values, 0.0)
                yield values, Seen(total=events if first == "total" else events + bad, bad=bad)
        case "latency":
            bucket = sides["histogram"].named(f"{sides['histogram'].metric}_bucket")
            if bucket.metric in names:
                yield from _buckets(source, bucket, client, since)
        case "probe":
            means = _grouped(source, "avg", f"avg_over_time({selector_text(sides['value'], since)})", client)
            for values, share in means.items():
                yield values, Seen(good_share=share)
        case "saturation":
            capacity = sides["capacity"]
            if capacity.metric in names:
                free = _grouped(source, "max", selector_text(capacity), client)
                yield from ((values, Seen()) for values, most in free.items() if most > 0)
        case _:
            yield from ((values, Seen()) for values in _grouped(source, "group", selector_text(sides["value"]), client))


def _sums(
    source: Source, selector: Selector, grow: str, client: PrometheusClient, since: Duration
) -> dict[Values, float]:
    needed = (Matcher(label, MatchOperator.NOT_EQUAL, "") for label in source.needs)
    own = {matcher.label for matcher in selector.matchers}
    narrowed = selector.narrowed(*(matcher for matcher in needed if matcher.label not in own))
    return _grouped(source, "sum", f"{grow}({selector_text(narrowed, since)})", client)


def _buckets(
    source: Source, bucket: Selector, client: PrometheusClient, since: Duration
) -> Iterator[tuple[Values, Seen]]:
    counts = defaultdict[Values, list[tuple[Decimal, float]]](list)
    labels = ", ".join((*source.labels.values(), *source.chosen.values(), "le"))
    for sample in client.query(f"sum by ({labels}) (increase({selector_text(bucket, since)}))"):
        if (values := _values(source, sample.labels)) is not None and "le" in sample.labels:
            counts[values].append((Decimal(sample.labels["le"].replace("+Inf", "Infinity")), sample.value))
    for values, buckets in counts.items():
        yield values, Seen(buckets=sorted(buckets))


def _grouped(source: Source, operator: str, promql: str, client: PrometheusClient) -> dict[Values, float]:
    labels = ", ".join((*source.labels.values(), *source.chosen.values()))
    samples = client.query(f"{operator} by ({labels}) ({promql})")
    found = ((_values(source, sample.labels), sample.value) for sample in samples)
    return {values: value for values, value in found if values is not None and value == value}  # noqa: PLR0124 - NaN


def _values(source: Source, labels: Mapping[str, str]) -> Values | None:
    """What the parameters are, where the series has a value for each."""
    values = tuple(labels.get(label, "") for label in (*source.labels.values(), *source.chosen.values()))
    return values if all(values) else None


def _chosen(source: Source, seen: Mapping[Values, Mapping[str, Seen]]) -> list[Values]:
    """One value of the labels that are to be chosen, for each of the others: the one with most events."""
    best = dict[Values, Values]()
    own = len(source.labels)
    for values in sorted(seen):
        if source.reads[0].name not in seen[values]:
            continue  # a histogram alone is no sign of the source
        known = best.get(values[:own])
        if known is None or _events(seen[values]) > _events(seen[known]):
            best[values[:own]] = values
    return list(best.values())


def _events(seen: Mapping[str, Seen]) -> float:
    return max((each.total or 0.0 for each in seen.values()), default=0.0)
