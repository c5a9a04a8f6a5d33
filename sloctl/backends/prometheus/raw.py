"""Raw series read once a tile: increases of counters, and what gauges showed.

Consecutive tiles telescope: what a target counts between two scrapes is in exactly one tile. Everything is shifted
by `Sampling.shift`, because a scrape keeps the time at which it began but is seen only once it is committed;
unshifted, such a scrape becomes the next tile's baseline and its events are lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import assert_never

from sloctl import conventions
from sloctl.model.catalogue import NewSeries, Sampling, Slo
from sloctl.model.indicator import Counts, Every, PerSecond, RunningTotal
from sloctl.model.quantities import Duration, number
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.build import indent, matching_on, over_time, renamed
from sloctl.promql.selectors import label_selector, quote, selector_text


@lru_cache(maxsize=64)
def own(slo: Slo, metric: str) -> Selector:
    """The recording `metric` of this SLO."""
    return Selector(metric, _own_matchers(slo))


@lru_cache(maxsize=4)
def _own_matchers(slo: Slo) -> tuple[Matcher, ...]:
    return label_selector("x", {"platform": slo.platform, "slo": slo.id}).matchers


def own_total(slo: Slo) -> str:
    """The total tile of a moment ago."""
    return _own_tile(slo, "last", conventions.total_tile)


def own_errors(slo: Slo) -> str:
    """The errors tile of a moment ago."""
    return _own_tile(slo, "last", conventions.errors_tile)


def judged(slo: Slo) -> str:
    """1 where there is an errors tile of a moment ago, so that the slice was judged."""
    return _own_tile(slo, "present", conventions.errors_tile)


def _own_tile(slo: Slo, function: str, name: Callable[[Duration], str]) -> str:
    """A tile recorded a moment ago by the same group; a failed rule is not read as old data."""
    return over_time(function, own(slo, name(slo.sampling.resolution)), slo.sampling.resolution // 2)


def split(slo: Slo, selector: Selector) -> Selector:
    """Without series that lack a split label: they belong to no value."""
    return selector.narrowed(*(Matcher(label, MatchOperator.NOT_EQUAL, "") for label in slo.by))


def aggregated(slo: Slo, operator: str, inner: str, *, extra: tuple[str, ...] = ()) -> str:
    """An aggregation to one series for each value of the split labels."""
    for old, new in zip(slo.by, slo.split_labels, strict=True):
        inner = inner if old == new else renamed(inner, new, old)
    labels = slo.split_labels + extra
    grouping = f" by ({', '.join(labels)}) " if labels else ""
    return f"{operator}{grouping}(\n{indent(inner)}\n)"


def on_split(slo: Slo) -> str:
    """`on` the split labels."""
    return matching_on(slo.split_labels)


def union(parts: Sequence[str]) -> str:
    """All series of all parts: a label tells them apart, so that `or` keeps each."""
    if len(parts) == 1:
        return parts[0]
    return "\nor ".join(
        f"label_replace(\n{indent(part)},\n  {quote('part')}, {quote(str(index))}, {quote('')}, {quote('')}\n)"
        for index, part in enumerate(parts)
    )


def gauge(slo: Slo, function: str, selector: Selector) -> str:
    """A gauge's lowest, highest or last sample in the tile, for each raw series."""
    return over_time(function, split(slo, selector), slo.sampling.resolution, slo.sampling.shift)


def events(slo: Slo, selector: Selector, counts: Counts, tile: Duration | None = None) -> str:
    """Events of a tile for each raw series."""
    selector, sampling = split(slo, selector), slo.sampling
    tile = tile or sampling.resolution
    match counts:
        case RunningTotal():
            return _increase(selector, sampling, tile)
        case PerSecond():
            return f"{number(tile.seconds)} * {over_time('last', selector, tile, sampling.shift)}"
        case Every(length):
            latest = over_time("last", selector, length, sampling.shift)
            return f"{number(tile.seconds)} / {number(length.seconds)} * {latest}"
        case _:
            assert_never(counts)


def series(slo: Slo, selectors: Selectors, length: Duration) -> str:
    """One sample for each value of the split labels that has raw series within `length`."""
    last = [over_time("last", split(slo, selector), length) for selector in selectors]
    return aggregated(slo, "group", "\nor ".join(last))


def _increase(selector: Selector, sampling: Sampling, tile: Duration) -> str:
    """The increase of each counter in a tile: difference, reset, creation, and a new target's first tile."""
    before = tile + sampling.shift
    now = over_time("last", selector, tile, sampling.shift)
    baseline = over_time("last", selector, sampling.lookback, before)
    first = over_time("min", selector, tile, sampling.shift)
    branches = [
        f"(({now} - {baseline}) >= 0)",  # the usual case; a gap up to the look-back is bridged
        f"({now} and {baseline})",  # the counter was reset: what it counted since
        *_created(selector, sampling, now, baseline, before),
        f"({now} - {first})",  # the first tile of a new target: what it counted while it was seen
    ]
    return "\nor ".join(branches)


def _created(selector: Selector, sampling: Sampling, now: str, baseline: str, before: Duration) -> list[str]:
    """Series that begin to exist while their target was already read: all that they hold is new."""
    match sampling.new_series:
        case NewSeries.IGNORE:
            return []
        case NewSeries.COUNT:
            return [f"({now} unless {baseline})"]
        case NewSeries.COUNT_IF_UP:
            return [f"({now}\n{indent(indent(creation_guard(selector, sampling, before)))})"]
        case _:
            assert_never(sampling.new_series)


def creation_guard(selector: Selector, sampling: Sampling, before: Duration) -> str:
    """Where a counter's creation counts: its target was up, is not new itself, and lost no series of the metric.

    In the other cases labels changed, and a counter's whole history would be taken for one tile's events.
    """
    on = matching_on(sampling.target_labels)
    up = Selector("up", selector.on(sampling.target_labels))
    tile = before - sampling.shift
    was_up = f"{over_time('max', up, sampling.lookback, before)} == 1"
    known = over_time("last", up, sampling.lookback, before)
    new_target = f"{over_time('last', up, tile, sampling.shift)} unless {known}"
    vanished = f"{selector_text(selector, offset=before)} unless {selector_text(selector, offset=sampling.shift)}"
    return f"and {on} ({was_up})\nunless {on} ({new_target})\nunless {on} ({vanished})"
