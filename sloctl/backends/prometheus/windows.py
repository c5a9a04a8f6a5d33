"""Roll-ups of tiles, averages over windows, the budget and the time until it is gone.

Every window is the sum of bad events divided by the sum of events, never an average of ratios, so that quiet
and busy minutes weigh what they count.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from sloctl import conventions
from sloctl.backends.prometheus.rules import Recording
from sloctl.backends.prometheus.tiles import own
from sloctl.model.alerting import BudgetLeft
from sloctl.model.catalogue import Slo
from sloctl.model.quantities import SECOND, Duration, number
from sloctl.model.selector import Selector
from sloctl.promql.build import over_time
from sloctl.promql.selectors import selector_text

_TileName: TypeAlias = Callable[[Duration], str]

SLOW_FROM: Final = 1440
"""Windows of so many tiles (a day of minutes) and longer read roll-ups."""
_RUNGS: Final = 4
_RECENT: Final = 60
"""Tiles (an hour of minutes) whose burn rate tells how long the budget lasts."""


def is_slow(slo: Slo, over: Duration) -> bool:
    """Whether a window reads roll-up tiles."""
    return over >= slo.sampling.resolution * SLOW_FROM


def rollup(slo: Slo, metric: str, rolled: str) -> Recording:
    """Four tiles in one, with a catch-up ladder for roll-ups that were missed.

    Each rung holds only where no shorter one does; otherwise tiles would be counted twice after a pause. Plain
    ranges: tiles of another group lie off this group's grid.
    """
    tile, recorded = own(slo, metric), own(slo, rolled)
    step, resolution = slo.sampling.rollup, slo.sampling.resolution

    def tiles(rung: int) -> str:
        return over_time("sum", tile, step * rung, resolution // 2)

    def present(rung: int) -> str:
        return over_time("present", recorded, step * rung + resolution)

    rungs = [f"({tiles(1)} and {present(1)})"]
    rungs += [f"({tiles(rung)} and {present(rung)} unless {present(rung - 1)})" for rung in range(2, _RUNGS + 1)]
    rungs.append(f"({tiles(1)} unless {present(_RUNGS)})")
    return Recording(rolled, "\nor ".join(rungs), conventions.series_labels(slo))


def errors_in(slo: Slo, over: Duration) -> str:
    """Bad events in the last `over`."""
    return _sum(slo, conventions.errors_tile, over)


def total_in(slo: Slo, over: Duration) -> str:
    """Events in the last `over`."""
    return _sum(slo, conventions.total_tile, over)


def ratio_over(slo: Slo, over: Duration) -> Recording:
    """The error ratio over a window; absent without traffic, never NaN."""
    expr = f"{errors_in(slo, over)}\n/ ({total_in(slo, over)} > 0)"
    return Recording(conventions.error_ratio(over), expr, conventions.series_labels(slo))


def recorded_windows(slo: Slo) -> list[Duration]:
    """Every window that a tier averages over, shortest first."""
    tiers = [tier for tier in slo.tiers if not isinstance(tier.trigger, BudgetLeft)]
    windows = {window for tier in tiers for window in (tier.over, tier.also_over) if window is not None}
    return sorted(windows)


def budget_consumed(slo: Slo) -> Recording:
    """The share of the window's error budget that is spent."""
    window = slo.window.length
    allowed = f"{number(slo.objective.error_budget)} * {total_in(slo, window)}"
    expr = f"{errors_in(slo, window)}\n/ ({allowed} > 0)"
    return Recording(conventions.budget_consumed(slo.window), expr, conventions.series_labels(slo))


def objective(slo: Slo) -> Recording:
    """The objective as a ratio, with the team and the window as labels."""
    labels = {**conventions.series_labels(slo), "window": str(slo.window)}
    team = {"team": slo.team} if slo.team else {}
    return Recording(conventions.OBJECTIVE, f"vector({number(slo.objective.ratio)})", labels | team)


def time_to_exhaustion(slo: Slo) -> Recording:
    """Seconds until the budget is gone at the burn rate of the last hour; zero once it is overspent.

    Absent while nothing burns. What is left, (1 - spent) x budget x window, divided by the error ratio.
    """
    recent = slo.sampling.resolution * _RECENT
    consumed = selector_text(own(slo, conventions.budget_consumed(slo.window)))
    whole = slo.objective.error_budget * slo.window.length.seconds
    errors = _rolled_sum(slo, conventions.errors_tile, recent)
    total = _rolled_sum(slo, conventions.total_tile, recent)
    expr = f"{number(whole)} * clamp_min(1 - {consumed}, 0)\n/ (\n  {errors}\n  / {total}\n  > 0\n)"
    return Recording(conventions.TIME_TO_EXHAUSTION, expr, conventions.series_labels(slo))


def _sum(slo: Slo, tile: _TileName, over: Duration) -> str:
    return _rolled_sum(slo, tile, over) if is_slow(slo, over) else _tile_sum(slo, tile, over)


def _tile_sum(slo: Slo, tile: _TileName, over: Duration) -> str:
    return _sum_on_grid(own(slo, tile(slo.sampling.resolution)), over)


def _rolled_sum(slo: Slo, tile: _TileName, over: Duration) -> str:
    return _sum_on_grid(own(slo, tile(slo.sampling.rollup)), over)


def _sum_on_grid(tile: Selector, over: Duration) -> str:
    """The sum of exactly the tiles in `over`, asked in the group that records them.

    A second short: ranges include both ends up to Prometheus 2.x and exclude the start in 3.x.
    """
    return over_time("sum", tile, over - SECOND)
