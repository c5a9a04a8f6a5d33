"""The recordings of an SLO as they stand in unit tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Final

from sloctl import conventions
from sloctl.explain.simulation import Tile
from sloctl.model.catalogue import Slo
from sloctl.model.labels import recorded_label
from sloctl.model.quantities import Duration, number
from sloctl.model.window import CalendarWindow
from sloctl.proof.examples import NotDerivableError, split_values
from sloctl.proof.series import InputSeries, series_text

AFFECTED: Final = "ill"
"""The value of every split label whose events are bad in a history."""
UNAFFECTED: Final = "calm"
"""The value of every split label whose events are all good."""
_SPLIT: Final = (AFFECTED, UNAFFECTED)
_NEAR: Final = Decimal("1e-9")
"""Floating point in another order of operations."""


def own_series(slo: Slo, metric: str, split: Mapping[str, str]) -> str:
    """A recording of the SLO, as a series."""
    return series_text(metric, {**conventions.series_labels(slo), **recorded(split)})


def recorded(split: Mapping[str, str]) -> dict[str, str]:
    """Split labels by the names that recordings give them."""
    return {recorded_label(name): value for name, value in split.items()}


def split_of(slo: Slo, value: str = AFFECTED) -> dict[str, str]:
    """One value of each split label; for the affected and the unaffected one, such as its matchers select."""
    return {label: _split_values(slo, label).get(value, value) for label in slo.by}


def check_split(slo: Slo) -> None:
    """Whether an affected and an unaffected value of each split label can be written as raw series.

    Raises:
        NotDerivableError: they cannot, as where a matcher fixes the label.
    """
    for label in slo.by:
        split_values(label, slo.indicator.reads().selectors, _SPLIT)


@lru_cache(maxsize=64)
def _split_values(slo: Slo, label: str) -> Mapping[str, str]:
    for wanted in (_SPLIT, _SPLIT[:1]):
        with suppress(NotDerivableError):
            return dict(zip(wanted, split_values(label, slo.indicator.reads().selectors, wanted), strict=True))
    return {}  # recordings can have any


def tile_names(length: Duration) -> list[str]:
    """The recordings of all events and of the bad ones in tiles of a length."""
    return [conventions.total_tile(length), conventions.errors_tile(length)]


def spent_names(slo: Slo) -> list[str]:
    """What is recorded on the way to the share of the budget that is spent."""
    ratio = [conventions.PERIOD_ERROR_RATIO] if isinstance(slo.window, CalendarWindow) else []
    return [conventions.window_total(slo.window), *ratio, conventions.budget_consumed(slo.window)]


def tile_series(slo: Slo, tiles: Sequence[Tile], split: Mapping[str, str]) -> InputSeries:
    """A history written as tiles, with the period of a calendar that has just one."""
    totals, errors = (own_series(slo, name, split) for name in tile_names(slo.sampling.resolution))
    written: InputSeries = {
        totals: [total if total else None for total, _ in tiles],
        errors: [bad if total else None for total, bad in tiles],
    }
    if slo.calendar is not None:
        written |= period_series(conventions.PERIOD_START, slo, slo.calendar, [Decimal(0)] * len(tiles))
    return written


def period_series(metric: str, slo: Slo, calendar: CalendarWindow, moments: Sequence[Decimal]) -> InputSeries:
    """The start or the end of the running period, in Unix seconds."""
    labels = conventions.calendar_labels(slo.platform, calendar)
    return {series_text(metric, labels): list(moments)}


def near(expr: str, value: Decimal, within: Decimal = _NEAR) -> str:
    """PromQL that is 1 where an expression has a value, but for a share of it."""
    low, high = sorted((value * (1 - within), value * (1 + within)))
    return f"({expr} >= bool {number(low)}) * ({expr} <= bool {number(high)})"
