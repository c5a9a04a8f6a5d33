"""Tiles: how many events happened in each piece of `resolution`, from raw series.

Only tiles read raw series. Consecutive tiles telescope: what a target counts between two scrapes is in exactly
one tile. Everything is shifted by `Sampling.shift`, because a scrape keeps the time at which it began but is
seen only once it is committed; unshifted, such a scrape becomes the next tile's baseline and its events are lost.
"""

from __future__ import annotations

from typing import assert_never

from sloctl import conventions
from sloctl.model.catalogue import NewSeries, Sampling, Slo
from sloctl.model.indicator import Counts, Every, PerSecond, Ratio, RunningTotal
from sloctl.model.quantities import number
from sloctl.model.selector import Matcher, MatchOperator, Selector, Selectors
from sloctl.promql.build import indent, matching_on, over_time, renamed, summed
from sloctl.promql.selectors import label_selector, quote, selector_text


def total_tile(slo: Slo, ratio: Ratio) -> str:
    """All events of a tile; zero without any series, except with `by`, where a value without one is absent."""
    sides = ratio.total if ratio.total is not None else (ratio.bad or ()) + (ratio.good or ())
    return _events(slo, sides, ratio.counts)


def errors_tile(slo: Slo, ratio: Ratio) -> str:
    """The bad events of a tile; zero where there is a total without a bad series."""
    if ratio.bad is not None:
        return _with_zero(slo, ratio.bad, ratio.counts)
    assert ratio.good is not None
    good = indent(_paren(_with_zero(slo, ratio.good, ratio.counts)))
    return f"clamp_min(\n  {own_total(slo)}\n  - {_one_to_one(slo)}\n{good},\n  0\n)"


def own_total(slo: Slo) -> str:
    """The total tile recorded a moment ago; a failed rule is not read as old data."""
    tile = own(slo, conventions.total_tile(slo.sampling.resolution))
    return over_time("last", tile, slo.sampling.resolution // 2)


def own(slo: Slo, metric: str) -> Selector:
    """The recording `metric` of this SLO."""
    return label_selector(metric, {"platform": slo.platform, "slo": slo.id})


def recorded_by(slo: Slo) -> tuple[str, ...]:
    """The split labels as recordings have them."""
    return tuple(conventions.recorded_label(label) for label in slo.by)


def _with_zero(slo: Slo, selectors: Selectors, counts: Counts) -> str:
    """Events, and zero for each value of the split labels that has a total."""
    events = _events(slo, selectors, counts)
    if not slo.by:
        return events
    return f"{events}\nor {matching_on(recorded_by(slo))} (0 * {own_total(slo)})"


def _events(slo: Slo, selectors: Selectors, counts: Counts) -> str:
    """The sum of one tile a selector; without `by` each has a zero of its own."""
    tiles = [_unsummed(slo, selector, counts) for selector in selectors]
    if not slo.by:
        zeroed = [f"{summed(tile)} or vector(0)" for tile in tiles]
        return zeroed[0] if len(zeroed) == 1 else "\n+ ".join(f"({tile})" for tile in zeroed)
    for old, new in zip(slo.by, recorded_by(slo), strict=True):
        tiles = [tile if old == new else renamed(tile, new, old) for tile in tiles]
    if len(tiles) > 1:
        tiles = [_numbered(tile, part) for part, tile in enumerate(tiles)]
    return summed("\nor ".join(tiles), recorded_by(slo))


def _numbered(tile: str, part: int) -> str:
    """A tile whose series differ from those of the other parts, so that `or` keeps all of them."""
    return f"label_replace(\n{indent(tile)},\n  {quote('part')}, {quote(str(part))}, {quote('')}, {quote('')}\n)"


def _unsummed(slo: Slo, selector: Selector, counts: Counts) -> str:
    """Events of a tile for each raw series."""
    present = tuple(Matcher(label, MatchOperator.NOT_EQUAL, "") for label in slo.by)
    selector = selector.narrowed(*present)
    sampling = slo.sampling
    match counts:
        case RunningTotal():
            return _increase(selector, sampling)
        case PerSecond():
            latest = over_time("last", selector, sampling.resolution, sampling.shift)
            return f"{number(sampling.resolution.seconds)} * {latest}"
        case Every(length):
            latest = over_time("last", selector, length, sampling.shift)
            share = f"{number(sampling.resolution.seconds)} / {number(length.seconds)}"
            return f"{share} * {latest}"
        case _:
            assert_never(counts)


def _increase(selector: Selector, sampling: Sampling) -> str:
    """The increase of each counter in a tile: difference, reset, birth, and a new target's first tile."""
    tile, before = sampling.resolution, sampling.resolution + sampling.shift
    now = over_time("last", selector, tile, sampling.shift)
    baseline = over_time("last", selector, sampling.lookback, before)
    first = over_time("min", selector, tile, sampling.shift)
    branches = [
        f"(({now} - {baseline}) >= 0)",  # the usual case; a gap up to the look-back is bridged
        f"({now} and {baseline})",  # the counter was reset: what it counted since
        *_birth(selector, sampling, now, baseline),
        f"({now} - {first})",  # the first tile of a new target: what it counted while it was seen
    ]
    return "\nor ".join(branches)


def _birth(selector: Selector, sampling: Sampling, now: str, baseline: str) -> list[str]:
    """Series that begin to exist while their target was already read: all that they hold is new.

    Not where the target's own `up` is newborn, or where a series of the metric vanished from the target in the
    same tile: there labels changed, and a counter's whole history would be taken for one tile's events.
    """
    match sampling.new_series:
        case NewSeries.IGNORE:
            return []
        case NewSeries.COUNT:
            return [f"({now} unless {baseline})"]
        case NewSeries.COUNT_IF_UP:
            return [_birth_if_up(selector, sampling, now)]
        case _:
            assert_never(sampling.new_series)


def _birth_if_up(selector: Selector, sampling: Sampling, now: str) -> str:
    on = matching_on(sampling.target_labels)
    before = sampling.resolution + sampling.shift
    up = Selector("up", selector.on(sampling.target_labels))
    was_up = f"{over_time('max', up, sampling.lookback, before)} == 1"
    up_before = over_time("last", up, sampling.lookback, before)
    newborn_target = f"{over_time('last', up, sampling.resolution, sampling.shift)} unless {up_before}"
    vanished = f"{selector_text(selector, offset=before)} unless {selector_text(selector, offset=sampling.shift)}"
    return f"({now}\n    and {on} ({was_up})\n    unless {on} ({newborn_target})\n    unless {on} ({vanished}))"


def _one_to_one(slo: Slo) -> str:
    """How a recording of the SLO is matched with a fresh sum, which lacks the labels of the SLO."""
    return f"{matching_on(recorded_by(slo))} group_left ()"


def _paren(expression: str) -> str:
    return f"(\n{indent(expression)}\n)"
