"""What of an SLI is asked for, and its raw series as counters on the grid of scrapes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from sloctl.canary.analysis.question import BAD_BUCKET, BUCKET
from sloctl.canary.analysis.samples import CounterSeries, Times, all_on_grid
from sloctl.canary.analysis.statistics import Floats
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Latency, Probe, Ratio
from sloctl.model.quantities import number
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


def _bucket_roles(latency: Latency, *, every_bucket: bool) -> Roles:
    buckets = latency.histogram
    if not latency.native:
        buckets = tuple(selector.named(f"{selector.metric}_bucket") for selector in buckets)
        if not every_bucket:
            bound = rf"{re.escape(number(latency.at_most))}(\.0*)?|\+Inf"
            buckets = tuple(selector.narrowed(Matcher("le", MatchOperator.REGEX, bound)) for selector in buckets)
    if not latency.bad_if:
        return {BUCKET: buckets}
    return {BUCKET: buckets, BAD_BUCKET: tuple(selector.narrowed(*latency.bad_if) for selector in buckets)}


def counters(found: Mapping[str, Iterable[Raw]], grid: Floats) -> dict[str, tuple[CounterSeries, ...]]:
    """Raw series as counters on the grid, by role."""
    made: dict[str, list[Counter]] = {}
    for role, answer in found.items():
        for raw in answer:
            for name, counter in _of_series(role, raw):
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


def _of_series(role: str, raw: Raw) -> Iterator[tuple[str, Counter]]:
    """The counters of one series, each with its role."""
    if role == PROBE:  # each sample is one event, bad by what it lacks of 1
        bad = np.cumsum([1 - min(max(value, 0.0), 1.0) for value in raw.values])
        yield "total", Counter(raw.labels, moments(raw), [float(count) for count in range(1, len(raw.values) + 1)])
        yield "bad", Counter(raw.labels, moments(raw), list(bad))
    elif raw.histograms:
        yield from ((role, counter) for counter in native_counters(raw))
    else:
        yield role, Counter(raw.labels, raw.times, raw.values)


def native_counters(raw: Raw) -> list[Counter]:
    """A native histogram as counters of its buckets; a bucket that a sample does not show is empty."""
    bounds = sorted({high for sample in raw.histograms for _, high, _ in sample.buckets if high > 0})
    times = moments(raw)
    return [
        Counter({**raw.labels, "le": f"{bound:.17g}"}, times, [_until(sample, bound) for sample in raw.histograms])
        for bound in (*bounds, math.inf)
    ]


def _until(sample: Histogram, bound: float) -> float:
    if math.isinf(bound):
        return sample.count
    return sum(count for _, high, count in sample.buckets if high <= bound)


def moments(raw: Raw) -> Times:
    """When the samples of a series were scraped, Unix seconds."""
    return raw.times or tuple(sample.time for sample in raw.histograms)
