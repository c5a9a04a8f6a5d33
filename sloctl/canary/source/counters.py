"""What of an SLI is asked for, and its raw series as counters on the grid of scrapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from sloctl.canary.analysis.question import BAD_BUCKET, BUCKET
from sloctl.canary.analysis.samples import CounterSeries, Times, all_on_grid
from sloctl.canary.analysis.statistics import Floats
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Latency, Probe, Ratio, le_pattern
from sloctl.model.selector import Matcher, MatchOperator, Selectors
from sloctl.prometheus import Histogram
from sloctl.prometheus import Series as Raw

PROBE: Final = "probe"
Roles: TypeAlias = Mapping[str, Selectors]


def slo_roles(slo: Slo, *, every_bucket: bool = False) -> Roles:
    """The selectors of an SLI, by what they count.

    Args:
        slo: one that a canary can judge.
        every_bucket: whether all buckets of a histogram are needed, or those of its bound only.
    """
    match slo.indicator:
        case Ratio(total=total, bad=bad, good=good):
            sides = {"total": total, "bad": bad, "good": good}
            return {role: selectors for role, selectors in sides.items() if selectors}
        case Latency() as latency:
            return _bucket_roles(latency, every_bucket=every_bucket)
        case Probe(gauge=gauge):
            return {PROBE: (gauge,)}
        case _:
            raise AssertionError("resolve lets no other kind through")


def is_counted_anew(slo: Slo) -> bool:
    """Whether its counters are made of all samples at every look: of a gauge's, or of buckets as they are filled."""
    return isinstance(slo.indicator, Probe) or (isinstance(slo.indicator, Latency) and slo.indicator.native)


def _bucket_roles(latency: Latency, *, every_bucket: bool) -> Roles:
    buckets = latency.histogram
    if not latency.native:
        buckets = tuple(selector.named(f"{selector.metric}_bucket") for selector in buckets)
        if not every_bucket:
            bound = Matcher("le", MatchOperator.REGEX, rf"{le_pattern(latency.at_most)}|\+Inf")
            buckets = tuple(selector.narrowed(bound) for selector in buckets)
    if not latency.bad_if:
        return {BUCKET: buckets}
    return {BUCKET: buckets, BAD_BUCKET: tuple(selector.narrowed(*latency.bad_if) for selector in buckets)}


def counters(
    found: Mapping[str, Sequence[Raw]], grid: Floats, edges: Floats | None = None
) -> dict[str, tuple[CounterSeries, ...]]:
    """Raw series as counters on the grid, by role.

    Args:
        edges: bounds at which native histograms are counted; None takes those of these series.
    """
    edges = native_edges(raw for answer in found.values() for raw in answer) if edges is None else edges
    made: dict[str, list[Counter]] = {}
    for role, answer in found.items():
        for raw in answer:
            for name, counter in _of_series(role, raw, edges):
                made.setdefault(name, []).append(counter)
    return {role: _placed(each, grid) for role, each in made.items()}


class Counter(NamedTuple):
    """One counter as it was scraped."""

    labels: Mapping[str, str]
    times: Times
    values: Sequence[float]


def _placed(scraped: Sequence[Counter], grid: Floats) -> tuple[CounterSeries, ...]:
    placed = all_on_grid([(counter.times, counter.values) for counter in scraped], grid)
    return tuple(CounterSeries(counter.labels, *found) for counter, found in zip(scraped, placed, strict=True))


def _of_series(role: str, raw: Raw, edges: Floats) -> Iterator[tuple[str, Counter]]:
    """The counters of one series, each with its role."""
    if role == PROBE:  # each sample is one event, bad by what it lacks of 1
        bad = np.cumsum([1 - min(max(value, 0.0), 1.0) for value in raw.values])
        yield "total", Counter(raw.labels, moments(raw), [float(count) for count in range(1, len(raw.values) + 1)])
        yield "bad", Counter(raw.labels, moments(raw), list(bad))
    elif raw.histograms:
        yield from ((role, counter) for counter in native_counters(raw, edges))
    else:
        yield role, Counter(raw.labels, raw.times, raw.values)


def native_edges(series: Iterable[Raw]) -> Floats:
    """The bounds at which all of these native histograms say how many observations lie at or below, in rising order.

    A target shows only the buckets that it has filled, at the resolution that it has room for. So these are the bounds
    of all of them, without those that lie inside a bucket of another.
    """
    filled = np.array(
        sorted({(low, high) for raw in series for sample in raw.histograms for low, high, _ in sample.buckets})
    ).reshape(-1, 2)
    edges = np.unique(filled[filled > 0])
    inside = (filled[:, :1] < edges) & (edges < filled[:, 1:])
    common: Floats = edges[np.isfinite(edges) & ~inside.any(axis=0)]
    return common


def native_counters(raw: Raw, edges: Floats) -> list[Counter]:
    """A native histogram as counters of what lies at or below each edge; a bucket that is not shown is empty."""
    until = np.stack([_until(sample, edges) for sample in raw.histograms], axis=1)
    bounds = (*(f"{edge:.17g}" for edge in edges), "+Inf")
    times = moments(raw)
    return [Counter({**raw.labels, "le": bound}, times, list(row)) for bound, row in zip(bounds, until, strict=True)]


def _until(sample: Histogram, edges: Floats) -> Floats:
    """Observations at or below each edge, and all."""
    buckets = sorted((high, count) for _, high, count in sample.buckets)
    highs, counts = [high for high, _ in buckets], [count for _, count in buckets]
    total = np.concatenate([[0.0], np.cumsum(counts)])
    until: Floats = np.append(total[np.searchsorted(highs, edges, side="right")], sample.count)
    return until


def moments(raw: Raw) -> Times:
    """When the samples of a series were scraped, Unix seconds."""
    return raw.times or tuple(sample.time for sample in raw.histograms)
