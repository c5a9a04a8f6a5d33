"""SLIs that are expressions: what the server makes of them over time, as counters on the grid.

Nothing tells which version they speak of, so only an absolute limit is judged by them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np

from sloctl.canary.analysis.samples import CounterSeries
from sloctl.canary.analysis.statistics import Floats
from sloctl.model.indicator import Across, Query, Threshold, WholeIndicator
from sloctl.model.quantities import Duration
from sloctl.prometheus import Series as Raw
from sloctl.promql.expressions import with_window

WINDOW: Final = 4
"""So many scrapes make a window of a query, at least: `increase` needs two samples in it."""
Ask: TypeAlias = Callable[[str, float], tuple[Raw, ...]]
"""The values of a text at every so many seconds of the grid."""


def evaluated(indicator: WholeIndicator, grid: Floats, ask: Ask) -> dict[str, tuple[CounterSeries, ...]]:
    """Bad events and all, counted since the grid's first point; NaN where the server says nothing."""
    bad, total = _slices(indicator, grid, ask) if isinstance(indicator, Threshold) else _events(indicator, grid, ask)
    return {"bad": (_counter(bad),), "total": (_counter(total),)}


def _counter(each: Floats) -> CounterSeries:
    """A counter that grows so much at each point after the first; unknown where that is."""
    known = np.where(np.isnan(each), 0.0, each)
    values = np.concatenate([[0.0], np.cumsum(known)])
    values[1:][np.isnan(each)] = np.nan
    return CounterSeries({}, values)


def _slices(threshold: Threshold, grid: Floats, ask: Ask) -> tuple[Floats, Floats]:
    step = float(grid[1] - grid[0])
    values = _placed(ask(threshold.value.text, step), grid)
    low = -math.inf if threshold.at_least is None else float(threshold.at_least)
    high = math.inf if threshold.at_most is None else float(threshold.at_most)
    there = ~np.isnan(values)
    bad, total = (there & ((values < low) | (values > high))).sum(axis=0), there.sum(axis=0)
    silent = total == 0
    match threshold.across:
        case Across.EACH | Across.SUM:
            pass
        case Across.ANY:
            bad, total = bad > 0, np.ones_like(total)
        case Across.ALL:
            bad, total = bad == total, np.ones_like(total)
        case Across.MOST:
            bad, total = 2 * bad > total, np.ones_like(total)
    return np.where(silent, np.nan, bad), np.where(silent, np.nan, total)


def _events(query: Query, grid: Floats, ask: Ask) -> tuple[Floats, Floats]:
    """Events of each window, at its end; a window is longer than a scrape, so the points in it have none."""
    assert query.total is not None
    step = float(grid[1] - grid[0])
    window = Duration(round(WINDOW * step * 1000))

    def counted(text: str) -> Floats:
        found = _placed(ask(text, WINDOW * step), grid)
        sums = np.where(np.isnan(found).all(axis=0), np.nan, np.nansum(found, axis=0)) if len(found) else None
        each = np.zeros(len(grid) - 1)
        ends = np.arange(WINDOW - 1, len(each), WINDOW)
        each[ends] = np.nan if sums is None else sums[ends]
        return each

    total = counted(with_window(query.total, window))
    side = query.bad or query.good
    assert side is not None
    shown = counted(with_window(side, window))
    shown = np.where(np.isnan(shown), np.where(np.isnan(total), np.nan, 0.0), shown)  # no series of what never happened
    return (shown if query.bad is not None else np.maximum(total - shown, 0.0)), total


def _placed(series: Sequence[Raw], grid: Floats) -> Floats:
    """The values of each series at each point after the first."""
    placed = np.full((len(series), len(grid) - 1), np.nan)
    step = float(grid[1] - grid[0])
    for row, raw in zip(placed, series, strict=True):
        places = np.rint((np.array(raw.times) - grid[0]) / step).astype(int) - 1
        inside = (places >= 0) & (places < len(row))
        row[places[inside]] = np.array(raw.values)[inside]
    return placed
