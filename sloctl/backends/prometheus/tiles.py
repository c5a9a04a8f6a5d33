"""The pair of tiles of an SLO: all and bad events, or slices, of each piece of `resolution`."""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from sloctl.backends.prometheus.events import Tiles, bucket_selectors, event_tiles
from sloctl.backends.prometheus.slices import slice_tiles, timeslice_tiles
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import Freshness, Latency, Probe, Query, Ratio, Saturation, Threshold, Throughput
from sloctl.model.selector import Expression, Selectors
from sloctl.promql.build import indent, matching_on, renamed


def total(slo: Slo) -> str:
    """All events or slices of a tile."""
    return _included(slo, _tiles(slo).total)


def errors(slo: Slo) -> str:
    """The bad events or slices of a tile."""
    return _included(slo, _tiles(slo).errors)


@lru_cache(maxsize=1)
def _tiles(slo: Slo) -> Tiles:
    match slo.indicator:
        case Ratio() | Latency() | Query() as indicator if slo.timeslices is not None:
            return timeslice_tiles(slo, indicator)
        case Ratio() | Latency() | Query() as indicator:
            return event_tiles(slo, indicator)
        case Probe() | Freshness() | Throughput() | Saturation() | Threshold() as indicator:
            return slice_tiles(slo, indicator)
        case _:
            assert_never(slo.indicator)


def _included(slo: Slo, tile: str) -> str:
    """Nothing is counted while a condition of `exclude_when` returns a sample."""
    if not slo.exclude_when:
        return tile
    exclusions = "".join(_exclusion(slo, condition) for condition in slo.exclude_when)
    return f"(\n{indent(tile)}\n){exclusions}"


def _exclusion(slo: Slo, condition: Expression) -> str:
    """Matched on the labels of its outermost grouping; without one it excludes everything."""
    text, on = condition.text, list[str]()
    for label, recorded in zip(slo.by, slo.split_labels, strict=True):
        if label in (condition.grouping or ()):
            text = text if recorded == label else renamed(text, recorded, label)
            on.append(recorded)
    return f"\nunless {matching_on(tuple(on))} (\n{indent(text)}\n)"


def raw_series(slo: Slo) -> list[Selectors]:
    """Groups of selectors without any of which nothing can be measured; empty where only PromQL tells."""
    match slo.indicator:
        case Ratio(total=total, bad=bad, good=good):
            return [total if total is not None else (bad or ()) + (good or ())]
        case Latency(histogram=histogram, native=True):
            return [histogram]
        case Latency(histogram=histogram) as latency:
            return [tuple(one.named(f"{one.metric}_count") for one in histogram), bucket_selectors(latency)]
        case Probe(gauge=gauge):
            return [(gauge,)]
        case Freshness(timestamp=timestamp, age=age):
            return [tuple(one for one in (timestamp, age) if one is not None)]
        case Throughput(counter=counter):
            return [counter]
        case Saturation(used=used, capacity=capacity):
            return [used, capacity]
        case Query() | Threshold():
            return []
        case _:
            assert_never(slo.indicator)


def other_side(slo: Slo) -> Selectors:
    """Selectors of metrics other than those that the total is made of."""
    match slo.indicator:
        case Ratio(total=total, bad=bad, good=good) if total is not None:
            known = {selector.metric for selector in total}
            return tuple(selector for selector in (bad or ()) + (good or ()) if selector.metric not in known)
        case _:
            return ()
