"""Tiles of SLIs that count events: ratio, latency, query."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Protocol, assert_never

from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.native import native_events
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import EventIndicator, Latency, Query, Ratio, RunningTotal
from sloctl.model.selector import Expression, Matcher, Selector, Selectors
from sloctl.promql.build import indent, over_time
from sloctl.promql.expressions import with_window


@dataclass(frozen=True, slots=True)
class Tiles:
    """The expressions of a pair of tiles. Neither reads the other: some engines write a result later than they read."""

    total: str
    errors: str


class ReadEvents(Protocol):
    """PromQL for the events of each raw series; `without` is a label that may spell one value in two ways."""

    def __call__(self, selector: Selector, without: str = "") -> str: ...


def event_tiles(slo: Slo, indicator: EventIndicator, read: ReadEvents | None = None) -> Tiles:
    """All and bad events: of a tile, or as `read` counts them."""
    counts = indicator.counts if isinstance(indicator, Ratio) else RunningTotal()
    read = read or partial(raw.events, slo, counts)
    match indicator:
        case Ratio():
            return _ratio(slo, indicator, read)
        case Latency(native=True):
            return _native(slo, indicator)
        case Latency():
            return _latency(slo, indicator, read)
        case Query():
            return _query(slo, indicator)
        case _:
            assert_never(indicator)


def _ratio(slo: Slo, ratio: Ratio, read: ReadEvents) -> Tiles:
    (sides,) = ratio.reads().required
    total = _counted(slo, sides, read)
    if ratio.bad is not None:
        return Tiles(total, _with_zero(slo, ratio.bad, read, sides))
    assert ratio.good is not None
    return Tiles(total, _remainder(slo, total, _with_zero(slo, ratio.good, read, sides)))


def _counted(slo: Slo, selectors: Selectors, read: ReadEvents) -> str:
    """The sum of one tile a selector; without a split each has a zero of its own."""
    tiles = [read(selector) for selector in selectors]
    if slo.by:
        return raw.aggregated(slo, "sum", raw.union(tiles))
    zeroed = [f"{raw.aggregated(slo, 'sum', tile)} or vector(0)" for tile in tiles]
    return zeroed[0] if len(zeroed) == 1 else "\n+ ".join(f"({tile})" for tile in zeroed)


def _with_zero(slo: Slo, selectors: Selectors, read: ReadEvents, every: Selectors) -> str:
    """Events, and zero for each value of the split labels that has any event counted, by `every`."""
    counted = _counted(slo, selectors, read)
    return f"{counted}\nor {raw.on_split(slo)} ({raw.zero(slo, every)})" if slo.by else counted


def _remainder(slo: Slo, total: str, good: str) -> str:
    """What of the total is not good."""
    difference = f"{_paren(total)}\n- {raw.on_split(slo)} group_left ()\n{_paren(good)}"
    return f"clamp_min(\n{indent(difference)},\n  0\n)"


def _latency(slo: Slo, latency: Latency, read: ReadEvents) -> Tiles:
    """Observations in the bucket of the bound are good; a bucket that does not exist is no data, never errors."""
    (count,), bucket = latency.reads().required, latency.reads().buckets
    present = raw.aggregated(slo, "count", _recent(slo, bucket))
    counted = f"({_summed(slo, count, read)}\nand {raw.on_split(slo)} {present})"
    errors = _remainder(slo, counted, _good(slo, latency, bucket, read))
    if slo.by:
        return Tiles(counted, errors)
    quiet = f"(vector(0) unless on () count(\n{indent(_recent(slo, count))}\n))"
    return Tiles(f"{counted}\nor {quiet}", f"{errors}\nor {quiet}")


def _good(slo: Slo, latency: Latency, bucket: Selectors, read: ReadEvents) -> str:
    good = _summed(slo, bucket, read, without="le")
    if not latency.bad_if:
        return good
    slow_or_failed = _summed(slo, tuple(series.narrowed(*latency.bad_if) for series in bucket), read, without="le")
    return f"{good}\n- (\n{indent(slow_or_failed)}\n  or (0 * {good})\n)"


def _summed(slo: Slo, selectors: Selectors, read: ReadEvents, without: str = "") -> str:
    parts = [read(selector, without=without) for selector in selectors]
    return raw.aggregated(slo, "sum", raw.union(parts))


def _recent(slo: Slo, selectors: Selectors) -> str:
    sampling = slo.sampling
    last = (over_time("last", raw.split(slo, selector), sampling.lookback, sampling.shift) for selector in selectors)
    return "\nor ".join(last)


def _native(slo: Slo, latency: Latency) -> Tiles:
    """Native histograms count good events as a fraction; a bound between edges is interpolated."""
    good = _observed(slo, latency, latency.at_most)
    if latency.bad_if:
        failed = _observed(slo, latency, latency.at_most, narrowed=latency.bad_if)
        good = f"{good}\n- (\n{indent(failed)}\n  or (0 * {good})\n)"
    total = _observed(slo, latency, None)
    errors = _remainder(slo, total, good)
    if slo.by:
        return Tiles(total, errors)
    return Tiles(f"{total} or vector(0)", f"{errors}\nor vector(0)")


def _observed(slo: Slo, latency: Latency, bound: Decimal | None, narrowed: tuple[Matcher, ...] = ()) -> str:
    """Observations of a tile, or those at or below `bound`."""
    histograms = [raw.split(slo, selector) for selector in latency.histogram]
    parts = [native_events(slo.sampling, series.narrowed(*narrowed), latency.histogram, bound) for series in histograms]
    return raw.aggregated(slo, "sum", raw.union(parts))


def _query(slo: Slo, query: Query) -> Tiles:
    if query.bad_ratio is not None:
        share = f"clamp(\n{indent(_asked(slo, query.bad_ratio))},\n  0, 1\n) >= 0"  # NaN is no share
        return Tiles(f"({share}) >= bool 0", share)
    assert query.total is not None
    total = _asked(slo, query.total)
    zero = f"{raw.on_split(slo)} (\n  0 *\n{indent(_paren(total))}\n)"
    if query.bad is not None:
        return Tiles(total, f"{_asked(slo, query.bad)}\nor {zero}")
    assert query.good is not None
    return Tiles(total, _remainder(slo, total, f"{_asked(slo, query.good)}\nor {zero}"))


def _asked(slo: Slo, expression: Expression) -> str:
    """The sum of what the user's PromQL returns, where that is a number."""
    result = raw.labelled(slo, f"({with_window(expression, slo.sampling.resolution)})")
    return raw.aggregated(slo, "sum", f"{result} >= 0")


def _paren(expression: str) -> str:
    return f"(\n{indent(expression)}\n)"
