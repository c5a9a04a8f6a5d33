"""Raw series read once a tile: increases of counters, and what gauges showed.

Consecutive tiles telescope: what a target counts between two scrapes is in exactly one tile. Everything is shifted
by `Sampling.shift`, because a scrape keeps the time at which it began but is seen only once it is committed;
unshifted, such a scrape becomes the next tile's baseline and its events are lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import assert_never

from sloctl import conventions
from sloctl.backends.prometheus.counters import Counted
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Counts, Every, PerSecond, RunningTotal
from sloctl.model.quantities import Duration, number
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.build import indent, matching_on, over_time, renamed
from sloctl.promql.selectors import label_selector, quote


@lru_cache(maxsize=64)
def own(slo: Slo, metric: str) -> Selector:
    """The recording `metric` of this SLO, with the labels that it has now."""
    return Selector(metric, _own_matchers(slo))


@lru_cache(maxsize=4)
def _own_matchers(slo: Slo) -> tuple[Matcher, ...]:
    split = (Matcher(label, MatchOperator.NOT_EQUAL, "") for label in slo.split_labels)
    return (*label_selector("x", dict(conventions.series_labels(slo))).matchers, *split)


def past(slo: Slo, operator: str, inner: str, *more: str) -> str:
    """What ranges over recordings of an SLO say, one series for each split value and each value of labels of `more`.

    Recordings of the past may have a label that was removed since; without this rules would fail for as long as a
    window holds them.
    """
    return f"{operator} by ({', '.join([*conventions.series_labels(slo), *slo.split_labels, *more])}) ({inner})"


def split(slo: Slo, selector: Selector) -> Selector:
    """Without series that lack a split label: they belong to no value."""
    return selector.narrowed(*(Matcher(label, MatchOperator.NOT_EQUAL, "") for label in slo.by))


def labelled(slo: Slo, result: str) -> str:
    """As `split`, of the result of a user's PromQL: `vector` has no labels, so it matches those that lack one."""
    if not slo.by:
        return result
    return f"({' '.join([result, *(f'unless on ({label}) vector(0)' for label in slo.by)])})"


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


def numbers(expression: str) -> str:
    """Without the samples that are no number: a comparison with one holds nothing, and with `bool` says 0."""
    return f"({expression} >= -Inf)"


def gauge(slo: Slo, function: str, selector: Selector) -> str:
    """A gauge's lowest, highest or last sample in the tile, for each raw series; where that is a number."""
    return numbers(over_time(function, split(slo, selector), slo.sampling.resolution, slo.sampling.shift))


def events(slo: Slo, counts: Counts, selector: Selector, tile: Duration | None = None, without: str = "") -> str:
    """Events of a tile for each raw series; `without` is a label that may spell one value in two ways."""
    selector, sampling = split(slo, selector), slo.sampling
    tile = tile or sampling.resolution
    match counts:
        case RunningTotal():
            return Counted(selector, slo.indicator.reads().required[0], sampling, tile, without=without).increase()
        case PerSecond():
            return f"({number(tile.seconds)} * {over_time('last', selector, tile, sampling.shift)} >= 0)"
        case Every(length):
            latest = over_time("last", selector, length, sampling.shift)
            return f"({number(tile.seconds)} / {number(length.seconds)} * {latest} >= 0)"
        case _:
            assert_never(counts)


def zero(slo: Slo, selectors: Selectors) -> str:
    """Zero for each value of the split labels whose counters have a number in the tile."""
    sampling = slo.sampling
    last = [over_time("last", split(slo, selector), sampling.resolution, sampling.shift) for selector in selectors]
    return f"0 * {aggregated(slo, 'group', ' or '.join(f'{newest} >= 0' for newest in last))}"


def series(slo: Slo, selectors: Selectors, length: Duration) -> str:
    """One sample for each value of the split labels that has raw series within `length`."""
    last = [over_time("last", split(slo, selector), length, slo.sampling.late_by) for selector in selectors]
    return aggregated(slo, "group", "\nor ".join(last))
