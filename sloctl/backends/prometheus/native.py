"""Tiles of native histograms (Prometheus 3): counts as numbers, because differences of histograms lose resets."""

from __future__ import annotations

from decimal import Decimal

from sloctl.backends.prometheus.raw import creation_guard
from sloctl.model.catalogue import Sampling
from sloctl.model.quantities import Duration, number
from sloctl.model.selector import Selector
from sloctl.promql.build import indent, over_time


def native_events(sampling: Sampling, selector: Selector, bound: Decimal | None, tile: Duration | None = None) -> str:
    """Observations in a tile for each series, or those at or below `bound`.

    A reset is decided by the count of all observations only, which never falls otherwise.
    """
    tile = tile or sampling.resolution
    before = tile + sampling.shift
    now = over_time("last", selector, tile, sampling.shift)
    baseline = over_time("last", selector, sampling.lookback, before)
    count, counted = f"histogram_count({now})", f"histogram_count({baseline})"
    value, earlier = _observations(now, bound), _observations(baseline, bound)
    created = f"({value}\n{indent(indent(creation_guard(selector, sampling, before)))})"
    branches = [
        f"(({value} - {earlier}) and ({count} >= {counted}))",
        f"({value} and {counted})",
        created,
        f"(0 * {value})",
    ]
    return "\nor ".join(branches)


def _observations(histogram: str, bound: Decimal | None) -> str:
    count = f"histogram_count({histogram})"
    if bound is None:
        return count
    return f"round(histogram_fraction(0, {number(bound)}, {histogram}) * {count})"
