"""Tiles of SLIs that judge every slice of `resolution`: errors first, then the total from them.

So a slice whose errors rule failed is no slice at all. Missing data is not counted (the Blind alert says so),
except for throughput, where no event is what must be told.
"""

from __future__ import annotations

from typing import assert_never

from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.events import Tiles, event_tiles
from sloctl.model.catalogue import NewSeries, Slo
from sloctl.model.indicator import (
    Across,
    EventIndicator,
    Freshness,
    Probe,
    RunningTotal,
    Saturation,
    SliceIndicator,
    Threshold,
    Throughput,
)
from sloctl.model.quantities import number
from sloctl.model.selector import Selector
from sloctl.promql.build import indent, over_time


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
            return _one_a_slice(slo, f"{utilisation(slo, indicator)} > bool {number(indicator.at_most)}")
        case Threshold():
            return _across(slo, indicator.across, _outside(indicator), f"({indicator.value.text})")
        case _:
            assert_never(indicator)


def timeslice_tiles(slo: Slo, indicator: EventIndicator) -> Tiles:
    """Slices of an SLI that counts events: bad where fewer than the target are good; quiet ones are not counted."""
    assert slo.timeslices is not None
    total = event_tiles(slo, indicator).total
    inner = event_tiles(slo, indicator, total=f"(\n{indent(total)}\n)")
    bad = f"(\n{indent(inner.errors)}\n)\n/ ((\n{indent(total)}\n) > 0)\n> bool {number(1 - slo.timeslices)}"
    return _one_a_slice(slo, bad)


def utilisation(slo: Slo, saturation: Saturation) -> str:
    """The share of the capacity that is used."""
    used, capacity = (
        raw.aggregated(slo, "sum", raw.union([raw.gauge(slo, "max", selector) for selector in selectors]))
        for selectors in (saturation.used, saturation.capacity)
    )
    return f"{used}\n/ ({capacity} > 0)"


def _one_a_slice(slo: Slo, errors: str) -> Tiles:
    """One event for each slice and value of the split labels."""
    return Tiles(raw.judged(slo), errors)


def _across(slo: Slo, across: Across, bad: str, present: str) -> Tiles:
    """How the series of a slice, each with bad 0 or 1, become events."""
    match across:
        case Across.EACH:
            total = f"{raw.aggregated(slo, 'count', present)}\nand {raw.on_split(slo)} {raw.own_errors(slo)}"
            return Tiles(total, raw.aggregated(slo, "sum", bad))
        case Across.ANY:
            return _one_a_slice(slo, raw.aggregated(slo, "max", bad))
        case Across.ALL:
            return _one_a_slice(slo, raw.aggregated(slo, "min", bad))
        case Across.MOST:
            return _one_a_slice(slo, f"{raw.aggregated(slo, 'avg', bad)} > bool 0.5")
        case Across.SUM:
            raise AssertionError("only a throughput is summed")
        case _:
            assert_never(across)


def _probe(slo: Slo, probe: Probe) -> Tiles:
    if probe.across is not Across.EACH:
        lowest = raw.gauge(slo, "min", probe.gauge)
        return _across(slo, probe.across, f"{lowest} < bool 0.5", lowest)
    count, good = raw.gauge(slo, "count", probe.gauge), raw.gauge(slo, "sum", probe.gauge)
    total = f"{raw.aggregated(slo, 'sum', count)}\nand {raw.on_split(slo)} {raw.own_errors(slo)}"
    return Tiles(total, raw.aggregated(slo, "sum", f"{count} - {good}"))


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
    events = raw.union([raw.events(slo, selector, throughput.counts) for selector in throughput.counter])
    if throughput.across is Across.EACH:
        return _across(slo, Across.EACH, _beyond(slo, throughput, f"(\n{indent(events)}\n)"), f"(\n{indent(events)}\n)")
    counted = raw.aggregated(slo, "sum", events)
    if slo.by:
        return _one_a_slice(slo, _beyond(slo, throughput, counted))
    bad = _beyond(slo, throughput, f"({counted} or vector(0))")
    return _one_a_slice(slo, f"{bad}{_scraped(slo, throughput)}")


def _beyond(slo: Slo, throughput: Throughput, events: str) -> str:
    """1 where the events of a slice are too few or too many, else 0."""
    tile, sides = slo.sampling.resolution, []
    if throughput.at_least is not None:
        sides.append(f"({events} < bool {number(throughput.at_least.during(tile))})")
    if throughput.at_most is not None:
        sides.append(f"({events} > bool {number(throughput.at_most.during(tile))})")
    return "\n+ ".join(sides)


def _scraped(slo: Slo, throughput: Throughput) -> str:
    """Only slices in which the targets were read, and in the one before; otherwise a restart of Prometheus pages."""
    sampling = slo.sampling
    if sampling.new_series is not NewSeries.COUNT_IF_UP or not isinstance(throughput.counts, RunningTotal):
        return ""
    up = Selector("up", throughput.counter[0].on(sampling.target_labels))
    now = over_time("last", up, sampling.resolution, sampling.shift)
    before = over_time("last", up, sampling.resolution, sampling.resolution + sampling.shift)
    return f"\nand on () (count({now}) and count({before}))"


def _outside(threshold: Threshold) -> str:
    value, sides = f"({threshold.value.text})", []
    if threshold.at_least is not None:
        sides.append(f"({value} < bool {number(threshold.at_least)})")
    if threshold.at_most is not None:
        sides.append(f"({value} > bool {number(threshold.at_most)})")
    return " + ".join(sides)
