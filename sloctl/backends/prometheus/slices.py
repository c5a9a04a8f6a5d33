"""Tiles of SLIs that judge every slice of `resolution`: bad ones, and all that were judged by the same samples.

Missing data and samples that are no number are not counted (the Blind alert says so), except for throughput, where
no event is what must be told.
"""

from __future__ import annotations

from typing import Final, assert_never

from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.counters import Counted
from sloctl.backends.prometheus.events import Tiles, event_tiles
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import (
    Across,
    Counts,
    EventIndicator,
    Freshness,
    Probe,
    RunningTotal,
    Saturation,
    SliceIndicator,
    Threshold,
    Throughput,
)
from sloctl.model.quantities import MINUTE, Duration, number
from sloctl.model.selector import Selector
from sloctl.promql.build import indent, over_time
from sloctl.promql.selectors import selector_text

_SEEN: Final = MINUTE * 5
"""So old are the samples that an instant selector finds."""


def slice_tiles(slo: Slo, indicator: SliceIndicator) -> Tiles:
    """Slices or samples, and the bad ones."""
    match indicator:
        case Probe():
            return _probe(slo, indicator)
        case Freshness():
            return _freshness(slo, indicator)
        case Throughput():
            return _throughput(slo, indicator)
        case Saturation():
            return _one_a_slice(f"{utilisation(slo, indicator)} > bool {number(indicator.at_most)}")
        case Threshold():
            value = raw.numbers(raw.labelled(slo, f"({indicator.value.text})"))
            return _across(slo, indicator.across, _outside(indicator, value), value)
        case _:
            assert_never(indicator)


def timeslice_tiles(slo: Slo, indicator: EventIndicator) -> Tiles:
    """Slices of an SLI that counts events: bad where fewer than the target are good; quiet ones are not counted."""
    assert slo.timeslices is not None
    tiles = event_tiles(slo, indicator)
    bad = f"(\n{indent(tiles.errors)}\n)\n/ ((\n{indent(tiles.total)}\n) > 0)\n> bool {number(1 - slo.timeslices)}"
    return _one_a_slice(bad)


def utilisation(slo: Slo, saturation: Saturation) -> str:
    """The share of the capacity that is used."""
    used, capacity = (
        raw.aggregated(
            slo, "sum", raw.union([over_time("max", raw.split(slo, series), *_tile(slo)) for series in selectors])
        )
        for selectors in (saturation.used, saturation.capacity)
    )
    return raw.numbers(f"(\n{indent(used)}\n/ ({capacity} > 0)\n)")


def _one_a_slice(errors: str) -> Tiles:
    """One event for each slice and value of the split labels."""
    return Tiles(f"(\n{indent(errors)}\n) >= bool 0", errors)


def _across(slo: Slo, across: Across, bad: str, present: str) -> Tiles:
    """How the series of a slice, each with bad 0 or 1, become events."""
    match across:
        case Across.EACH:
            return Tiles(raw.aggregated(slo, "count", present), raw.aggregated(slo, "sum", bad))
        case Across.ANY:
            return _one_a_slice(raw.aggregated(slo, "max", bad))
        case Across.ALL:
            return _one_a_slice(raw.aggregated(slo, "min", bad))
        case Across.MOST:
            return _one_a_slice(f"{raw.aggregated(slo, 'avg', bad)} > bool 0.5")
        case Across.SUM:
            raise AssertionError("only a throughput is summed")
        case _:
            assert_never(across)


def _probe(slo: Slo, probe: Probe) -> Tiles:
    if probe.across is not Across.EACH:
        lowest = raw.gauge(slo, "min", probe.gauge)
        return _across(slo, probe.across, f"{lowest} < bool 0.5", lowest)
    count, good = (over_time(function, raw.split(slo, probe.gauge), *_tile(slo)) for function in ("count", "sum"))
    # a sum with one sample that is no number is none: then the others are picked at the pace of scrapes
    valid = (
        f"({selector_text(raw.split(slo, probe.gauge))} >= 0)[{slo.sampling.resolution}:{slo.sampling.scrape_interval}]"
    )
    some, some_good = (f"{function}_over_time({valid} offset {slo.sampling.shift})" for function in ("count", "sum"))
    total = f"({count} + 0 * {good} >= 0) or {some}"
    return Tiles(
        raw.aggregated(slo, "sum", total),
        raw.aggregated(slo, "sum", f"({count} - {good} >= 0) or ({some} - {some_good})"),
    )


def _tile(slo: Slo) -> tuple[Duration, Duration]:
    return slo.sampling.resolution, slo.sampling.shift


def _freshness(slo: Slo, freshness: Freshness) -> Tiles:
    limit = number(freshness.max_age.seconds)
    if freshness.age is not None:
        age = raw.gauge(slo, "last", freshness.age)
        return _across(slo, freshness.across, f"{age} > bool {limit}", age)
    assert freshness.timestamp is not None
    newest = raw.gauge(slo, "last", freshness.timestamp)
    age = f"(time() - {number(slo.sampling.shift.seconds)} - {newest})"
    return _across(slo, freshness.across, f"{age} > bool {limit}", newest)


def _throughput(slo: Slo, throughput: Throughput) -> Tiles:
    events = raw.union([_paced(slo, selector, throughput.counts) for selector in throughput.counter])
    if throughput.across is Across.EACH:
        return _across(slo, Across.EACH, _beyond(slo, throughput, f"(\n{indent(events)}\n)"), f"(\n{indent(events)}\n)")
    counted = raw.aggregated(slo, "sum", events)
    if slo.by:
        return _one_a_slice(f"{_beyond(slo, throughput, counted)}{_numbered(slo, throughput)}")
    bad = _beyond(slo, throughput, f"({counted} or vector(0))")
    judged = f"{_scraped(slo, throughput)}{_numbered(slo, throughput)}"
    return Tiles(f"vector(1){judged}", f"{bad}{judged}")


def _paced(slo: Slo, selector: Selector, counts: Counts) -> str:
    """Events of a tile, by the distance of the samples: a late or lost scrape is no slow and no busy slice."""
    if not isinstance(counts, RunningTotal):
        return raw.events(slo, counts, selector)
    own, sampling = raw.split(slo, selector), slo.sampling
    family = slo.indicator.reads().required[0]
    counted = Counted(own, family, sampling, sampling.resolution, bridges=min(sampling.lookback, _SEEN))
    newest, before = _times(slo, own)
    now, _ = _edges(slo, own)
    of_new = f"0 * {now} + 1 unless {counted.long_before}"  # after a longer pause nothing tells the pace
    pace = f"({number(sampling.resolution.seconds)} / ({newest} - {before} > 0) or {of_new})"
    return f"(\n{indent(counted.increase())}\n) * {pace}"


def _times(slo: Slo, selector: Selector) -> tuple[str, str]:
    """When the newest sample of a tile was read, and that before it; a scrape that fails ends a series for a while."""
    sampling, text = slo.sampling, selector_text(selector)
    interval = sampling.scrape_interval

    def last(edge: str, offset: Duration) -> str:
        looks = f"[{interval * 2}:{interval // 3}] offset {offset}"
        return f"(timestamp({edge}) or max_over_time(timestamp({text}){looks}))"

    now, earlier = _edges(slo, selector)
    return last(now, sampling.shift), last(earlier, sampling.resolution + sampling.shift)


def _edges(slo: Slo, selector: Selector) -> tuple[str, str]:
    """The newest sample of a tile, and that before it."""
    sampling = slo.sampling
    offsets = sampling.shift, sampling.resolution + sampling.shift
    newest, before = (selector_text(selector, offset=offset) for offset in offsets)
    return newest, before


def _numbered(slo: Slo, throughput: Throughput) -> str:
    """Not slices that begin or end with a sample that is no number."""
    edges = [edge for selector in throughput.counter for edge in _edges(slo, raw.split(slo, selector))]
    if not slo.by:
        sums = "(" + " + ".join(f"(sum({edge}) or vector(0))" for edge in edges) + ")"  # with one of them it is none
        return f"\nand on () {raw.numbers(sums)}"
    no_numbers = " or ".join(f"{edge} != {edge}" for edge in edges)
    return f"\nunless {raw.on_split(slo)} {raw.aggregated(slo, 'count', no_numbers)}"


def _beyond(slo: Slo, throughput: Throughput, events: str) -> str:
    """1 where the events of a slice are too few or too many, else 0."""
    tile, sides = slo.sampling.resolution, []
    if throughput.at_least is not None:
        sides.append(f"({events} < bool {number(throughput.at_least.during(tile))})")
    if throughput.at_most is not None:
        sides.append(f"({events} > bool {number(throughput.at_most.during(tile))})")
    return "\n+ ".join(sides)


def _scraped(slo: Slo, throughput: Throughput) -> str:
    """Only slices in which a target was read that was read before; otherwise a restart of Prometheus pages.

    A target that does not answer is judged from its second slice on: one scrape may fail.
    """
    sampling = slo.sampling
    if sampling.new_series is not NewSeries.COUNT_IF_UP or not isinstance(throughput.counts, RunningTotal):
        return ""
    up = Selector("up", throughput.counter[0].on(sampling.target_labels))
    newest, before = (f"timestamp({edge})" for edge in _edges(slo, up))
    answered = f"{selector_text(up, offset=sampling.shift)} == 1"
    silent = f"{over_time('max', up, sampling.resolution * 2, sampling.shift)} == 0"
    return f"\nand on () count({newest} - {before} > 0 and ({answered} or {silent}))"


def _outside(threshold: Threshold, value: str) -> str:
    sides = []
    if threshold.at_least is not None:
        sides.append(f"({value} < bool {number(threshold.at_least)})")
    if threshold.at_most is not None:
        sides.append(f"({value} > bool {number(threshold.at_most)})")
    return " + ".join(sides)
