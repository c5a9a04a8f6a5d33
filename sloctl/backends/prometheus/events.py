"""Tiles of SLIs that count events: ratio, latency, query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.native import native_events
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Counts, EventIndicator, Latency, Query, Ratio, RunningTotal
from sloctl.model.selector import Expression, Selectors
from sloctl.promql.build import indent, over_time
from sloctl.promql.expressions import with_window


@dataclass(frozen=True, slots=True)
class Tiles:
    """The expressions of a pair of tiles."""

    total: str
    errors: str


def event_tiles(slo: Slo, indicator: EventIndicator, total: str | None = None) -> Tiles:
    """All and bad events; `total` replaces the recorded total where errors refer to it."""
    match indicator:
        case Ratio():
            return _ratio(slo, indicator, total)
        case Latency(native=True):
            return _native(slo, indicator, total)
        case Latency():
            return _latency(slo, indicator, total)
        case Query():
            return _query(slo, indicator, total)
        case _:
            assert_never(indicator)


def _ratio(slo: Slo, ratio: Ratio, total: str | None) -> Tiles:
    (counted,) = ratio.reads().required
    all_events = _counted(slo, counted, ratio.counts)
    total = total or raw.own_total(slo)
    if ratio.bad is not None:
        return Tiles(all_events, _with_zero(slo, ratio.bad, ratio.counts, total))
    assert ratio.good is not None
    return Tiles(all_events, _remainder(slo, total, _with_zero(slo, ratio.good, ratio.counts, total)))


def _counted(slo: Slo, selectors: Selectors, counts: Counts) -> str:
    """The sum of one tile a selector; without a split each has a zero of its own."""
    tiles = [raw.events(slo, selector, counts) for selector in selectors]
    if slo.by:
        return raw.aggregated(slo, "sum", raw.union(tiles))
    zeroed = [f"{raw.aggregated(slo, 'sum', tile)} or vector(0)" for tile in tiles]
    return zeroed[0] if len(zeroed) == 1 else "\n+ ".join(f"({tile})" for tile in zeroed)


def _with_zero(slo: Slo, selectors: Selectors, counts: Counts, total: str) -> str:
    """Events, and zero for each value of the split labels that has a total."""
    counted = _counted(slo, selectors, counts)
    return f"{counted}\nor {raw.on_split(slo)} (0 * {total})" if slo.by else counted


def _remainder(slo: Slo, total: str, good: str) -> str:
    """What of the total is not good."""
    return f"clamp_min(\n  {total}\n  - {raw.on_split(slo)} group_left ()\n{indent(_paren(good))},\n  0\n)"


def _latency(slo: Slo, latency: Latency, total: str | None) -> Tiles:
    """Observations in the bucket of the bound are good; a bucket that does not exist is no data, never errors."""
    (count,), bucket = latency.reads().required, latency.reads().buckets
    present = raw.aggregated(slo, "count", _recent(slo, bucket))
    counted = f"({_summed(slo, count)}\nand {raw.on_split(slo)} {present})"
    if not slo.by:
        counted += f"\nor (vector(0) unless on () count(\n{indent(_recent(slo, count))}\n))"
    total = total or raw.own_total(slo)
    errors = f"{_remainder(slo, total, _good(slo, latency, bucket))}\nor ({total} == 0)"
    return Tiles(counted, errors)


def _good(slo: Slo, latency: Latency, bucket: Selectors) -> str:
    good = _summed(slo, bucket)
    if not latency.bad_if:
        return good
    slow_or_failed = _summed(slo, tuple(selector.narrowed(*latency.bad_if) for selector in bucket))
    return f"{good}\n- (\n{indent(slow_or_failed)}\n  or (0 * {good})\n)"


def _summed(slo: Slo, selectors: Selectors) -> str:
    return raw.aggregated(slo, "sum", raw.union([raw.events(slo, selector, RunningTotal()) for selector in selectors]))


def _recent(slo: Slo, selectors: Selectors) -> str:
    sampling = slo.sampling
    last = (over_time("last", raw.split(slo, selector), sampling.lookback, sampling.shift) for selector in selectors)
    return "\nor ".join(last)


def _native(slo: Slo, latency: Latency, total: str | None) -> Tiles:
    """Native histograms count good events as a fraction; a bound between edges is interpolated."""
    histograms = [raw.split(slo, selector) for selector in latency.histogram]
    counted = raw.union([native_events(slo.sampling, histogram, None) for histogram in histograms])
    good = raw.union([native_events(slo.sampling, histogram, latency.at_most) for histogram in histograms])
    total_tile = raw.aggregated(slo, "sum", counted) + ("" if slo.by else " or vector(0)")
    good_tile = raw.aggregated(slo, "sum", good)
    if latency.bad_if:
        narrowed = [histogram.narrowed(*latency.bad_if) for histogram in histograms]
        failed = [native_events(slo.sampling, histogram, latency.at_most) for histogram in narrowed]
        good_tile = (
            f"{good_tile}\n- (\n{indent(raw.aggregated(slo, 'sum', raw.union(failed)))}\n  or (0 * {good_tile})\n)"
        )
    total = total or raw.own_total(slo)
    return Tiles(total_tile, f"{_remainder(slo, total, good_tile)}\nor ({total} == 0)")


def _query(slo: Slo, query: Query, total: str | None) -> Tiles:
    if query.bad_ratio is not None:
        share = f"clamp(\n{indent(_asked(slo, query.bad_ratio))},\n  0, 1\n) >= 0"  # NaN is no share
        return Tiles(raw.judged(slo), share)
    assert query.total is not None
    total = total or raw.own_total(slo)
    if query.bad is not None:
        return Tiles(_asked(slo, query.total), f"{_asked(slo, query.bad)}\nor {raw.on_split(slo)} (0 * {total})")
    assert query.good is not None
    good = f"{_asked(slo, query.good)}\nor {raw.on_split(slo)} (0 * {total})"
    return Tiles(_asked(slo, query.total), _remainder(slo, total, good))


def _asked(slo: Slo, expression: Expression) -> str:
    return raw.aggregated(slo, "sum", with_window(expression, slo.sampling.resolution))


def _paren(expression: str) -> str:
    return f"(\n{indent(expression)}\n)"
