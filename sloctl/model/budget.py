"""The arithmetic of error budgets and burn rates, exact.

Source: The Site Reliability Workbook, chapter 5, "Alerting on SLOs". The guard against small samples is the
variance-stabilised bound of a Poisson count: the square root of such a count has a standard deviation of 1/2.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from sloctl.model.alerting import BudgetLeft, Burn, ErrorRate, Tier
from sloctl.model.quantities import Duration, Objective, Rate

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
