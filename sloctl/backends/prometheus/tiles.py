"""The pair of tiles of an SLO: all and bad events, or slices, of each piece of `resolution`."""

from __future__ import annotations

from functools import lru_cache

from sloctl.backends.prometheus import raw
from sloctl.backends.prometheus.events import Tiles, event_tiles
from sloctl.backends.prometheus.slices import slice_tiles, timeslice_tiles
from sloctl.model.catalogue import Slo
from sloctl.model.indicator import EventIndicator
from sloctl.model.selector import Expression
from sloctl.promql.build import indent, matching_on, renamed


def total(slo: Slo) -> str:
    """All events or slices of a tile."""
    return included(slo, _tiles(slo).total)


def errors(slo: Slo) -> str:
    """The bad events or slices of a tile."""
    return included(slo, _tiles(slo).errors)


@lru_cache(maxsize=1)
def _tiles(slo: Slo) -> Tiles:
    if not isinstance(slo.indicator, EventIndicator):
        return slice_tiles(slo, slo.indicator)
    return event_tiles(slo, slo.indicator) if slo.timeslices is None else timeslice_tiles(slo, slo.indicator)


def included(slo: Slo, tile: str) -> str:
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
    return f"\nunless {matching_on(tuple(on))} (\n{indent(raw.numbers(f'({text})'))}\n)"
