"""The arithmetic of error budgets and burn rates, exact.

Source: The Site Reliability Workbook, chapter 5, "Alerting on SLOs". The guard against small samples is the
variance-stabilised bound of a Poisson count: the square root of such a count has a standard deviation of 1/2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Final

from sloctl.model.alerting import BudgetLeft, Burn, ErrorRate, Tier
from sloctl.model.quantities import MINUTE, Duration, Objective, Rate

GUARD_MARGIN: Final = Decimal("1.545")
"""Half of z = 3.09, which a count inside the objective exceeds once in a thousand looks."""


def burn_rate(share: Decimal, window: Duration, over: Duration) -> Decimal:
    """How fast the budget burns when `share` of a window's budget is spent within `over`."""
    return share * (window / over)


def budget_spent(burn: Decimal, window: Duration, during: Duration) -> Decimal:
    """The share of a window's budget that burning at `burn` spends `during` this long."""
    return burn * (during / window)


def expected_budget(objective: Objective, traffic: Rate, window: Duration) -> Decimal:
    """How many events may be bad in a window at steady traffic."""
    return objective.error_budget * traffic.during(window)


def exhaustion_time(objective: Objective, window: Duration) -> Duration:
    """How long a total outage takes to spend the whole budget, at steady traffic."""
    return Duration(int(objective.error_budget * window.milliseconds))


def error_threshold(tier: Tier, objective: Objective) -> Decimal:
    """The error ratio above which a tier's averages fire; for `budget_left`, a share of the budget spent."""
    match tier.trigger:
        case Burn(rate):
            return rate * objective.error_budget
        case ErrorRate(ratio):
            return ratio
        case BudgetLeft(ratio):
            return 1 - ratio


def guard_minimum(total: Decimal, objective: Objective) -> Decimal:
    """Fewest errors among `total` events that are more than chance: (sqrt(budget x total) + 1.545)^2."""
    return ((objective.error_budget * total).sqrt() + GUARD_MARGIN) ** 2


def detection_time(threshold: Decimal, over: Duration, error_ratio: Decimal, resolution: Duration) -> Duration | None:
    """Time from the first bad event to the first evaluation whose average over `over` exceeds `threshold`.

    Traffic is steady and was clean before. None when the ratio never exceeds the threshold.
    """
    if error_ratio <= threshold:
        return None
    steps = threshold * (over / resolution) / error_ratio
    return resolution * (int(steps) + 1)


def tier_detection_time(
    tier: Tier, objective: Objective, error_ratio: Decimal, resolution: Duration
) -> Duration | None:
    """`detection_time` of a tier with both of its windows; without its `for` and its guard."""
    threshold = error_threshold(tier, objective)
    windows = [window for window in (tier.over, tier.also_over) if window is not None]
    times = [detection_time(threshold, window, error_ratio, resolution) for window in windows]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def smallest_firing_ratio(threshold: Decimal, over: Duration, resolution: Duration) -> Decimal:
    """An error ratio just above the threshold: it fires when the whole window is bad that much and no tile sooner."""
    tiles = over / resolution
    return threshold * (1 + 1 / (2 * tiles))


def rolled_detection_time(
    threshold: Decimal, over: Duration, error_ratio: Decimal, resolution: Duration, rollup: Duration
) -> Duration | None:
    """`detection_time` of a window over roll-ups, for trouble that begins at an evaluation of their group.

    A roll-up ends one tile before the moment of its evaluation, so a tile more than otherwise must have passed.
    """
    tiles = detection_time(threshold, over, error_ratio, resolution)
    if tiles is None:
        return None
    evaluations = -(-(tiles + resolution).milliseconds // rollup.milliseconds)
    return rollup * evaluations


def reset_time(threshold: Decimal, over: Duration, error_ratio: Decimal, resolution: Duration) -> Duration:
    """Time from the last bad event to the first evaluation whose average is no longer above the threshold.

    The window was filled with `error_ratio` before; traffic is steady.
    """
    if error_ratio <= threshold:
        return Duration(0)
    tiles = over / resolution
    clean = tiles * (1 - threshold / error_ratio)
    return resolution * int(clean.to_integral_value(ROUND_CEILING))


def budget_minutes(objective: Objective, window: Duration) -> Decimal:
    """Minutes of a full outage that spend the budget of a window, at steady traffic."""
    return objective.error_budget * (window / MINUTE)


def least_errors(total: Decimal, threshold: Decimal, objective: Objective, *, guarded: bool, least: int = 1) -> int:
    """Fewest bad events among `total` that fire: above the threshold, and more than chance where guarded."""
    above = int(threshold * total) + 1
    more = int(guard_minimum(total, objective).to_integral_value(ROUND_CEILING)) if guarded else 0
    return max(above, more, least)


def expected_false_fires(errors_per_tile: Decimal, windows: Sequence[tuple[int, int]], during: int) -> Decimal:
    """Times that chance alone fires a tier `during` so many tiles, an upper estimate.

    Bad events arrive independently (Poisson). The alert begins with a bad event that finds one fewer than enough in
    one window and enough in the other: (tiles, fewest bad events) of the long and, if there is one, the short one.
    """
    long_tiles, long_least = windows[0]
    rate = float(errors_per_tile)
    chance = _poisson(rate * long_tiles, long_least - 1) if len(windows) == 1 or rate == 0 else _joint(rate, windows)
    return errors_per_tile * during * Decimal(repr(chance))


def _joint(rate: float, windows: Sequence[tuple[int, int]]) -> float:
    """The chance that one more event makes both windows bad enough."""
    (long_tiles, long_least), (short_tiles, short_least) = windows
    older = rate * (long_tiles - short_tiles)
    inside = rate * short_tiles
    completes_long = sum(
        _poisson(inside, recent) * _poisson(older, long_least - 1 - recent)
        for recent in range(max(0, short_least - 1), long_least)
    )
    missing = long_least - short_least
    completes_short = _poisson(inside, short_least - 1) * _at_least(older, missing + 1)
    return completes_long + completes_short


def _poisson(mean: float, count: int) -> float:
    if count < 0:
        return 0.0
    if mean == 0:
        return 1.0 if count == 0 else 0.0
    return math.exp(count * math.log(mean) - mean - math.lgamma(count + 1))


def _at_least(mean: float, count: int) -> float:
    return 1.0 if count <= 0 else max(0.0, 1.0 - sum(_poisson(mean, one) for one in range(count)))
