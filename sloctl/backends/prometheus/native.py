"""Tiles of native histograms (Prometheus 3): counts as numbers, because differences of histograms lose resets."""

from __future__ import annotations

from decimal import Decimal

from sloctl.backends.prometheus.counters import Counted
from sloctl.model.catalogue import Sampling
from sloctl.model.quantities import Duration, number
from sloctl.model.selector import Selector, Selectors
from sloctl.promql.build import over_time


def native_events(
    sampling: Sampling, selector: Selector, family: Selectors, bound: Decimal | None, tile: Duration | None = None
) -> str:
    """Observations in a tile for each series, or those at or below `bound`.

    A reset is decided by the count of all observations only, which never falls otherwise.
    """
    counted = Counted(selector, family, sampling, tile or sampling.resolution, native=True)
    now = counted.last
    baseline = over_time("last", selector, sampling.lookback, counted.before)
    value, earlier = _observations(now, bound), _observations(baseline, bound)
    branches = [
        f"(({value} - {earlier}) and ({_count(now)} >= {_count(baseline)}))",
        f"({value} and ({counted.reset(_count(now), _count(counted.earlier))}))",
        *counted.created(value),
        f"(0 * {_count(now)})",
    ]
    return "\nor ".join(branches)


def _count(histogram: str) -> str:
    return f"histogram_count({histogram})"


def _observations(histogram: str, bound: Decimal | None) -> str:
    """The fraction of an empty histogram is no number, although its observations are zero."""
    count = _count(histogram)
    if bound is None:
        return count
    return f"(round(histogram_fraction(0, {number(bound)}, {histogram}) * {count}) >= 0 or 0 * {count})"
