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

LEAST_OF_BUDGET: Final = 3
"""Fewer bad events than this are no spent budget: the first minutes of a window hold few events at all."""


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


def detection_time(
    threshold: Decimal, over: Duration, error_ratio: Decimal, resolution: Duration, *, reaching: bool = False
) -> Duration | None:
    """Time from the first bad event to the first evaluation whose average over `over` exceeds `threshold`.

    Traffic is steady and was clean before. None when the ratio never exceeds the threshold.

    Args:
        reaching: to reach the threshold is enough.
    """
    if error_ratio < threshold or (error_ratio == threshold and not reaching):
        return None
    steps = threshold * (over / resolution) / error_ratio
    return resolution * (int(steps.to_integral_value(ROUND_CEILING)) if reaching else int(steps) + 1)


def tier_detection_time(
    tier: Tier, objective: Objective, error_ratio: Decimal, resolution: Duration
) -> Duration | None:
    """`detection_time` of a tier with both of its windows; without its `for` and its guard."""
    threshold = error_threshold(tier, objective)
    times = [detection_time(threshold, window, error_ratio, resolution) for window in tier.windows]
    known = [time for time in times if time is not None]
    return max(known) if known and len(known) == len(times) else None


def smallest_firing_ratio(threshold: Decimal, over: Duration, resolution: Duration) -> Decimal:
    """An error ratio just above the threshold: it fires when the whole window is bad that much and no tile sooner."""
    tiles = over / resolution
    return threshold * (1 + 1 / (2 * tiles))


def rolled_detection_time(
    threshold: Decimal,
    over: Duration,
    error_ratio: Decimal,
    resolution: Duration,
    rollup: Duration,
    *,
    reaching: bool = False,
) -> Duration | None:
    """`detection_time` of a window over roll-ups, for trouble that begins at an evaluation of their group.

    A roll-up ends one tile before the moment of its evaluation, so a tile more than otherwise must have passed.
    """
    tiles = detection_time(threshold, over, error_ratio, resolution, reaching=reaching)
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


def expected_false_fires(errors: Decimal, windows: Sequence[tuple[int, int]], during: int) -> Decimal | None:
    """How often chance alone makes a tier begin to fire in `during` evaluations; None where it nearly always fires.

    Bad events arrive independently (Poisson), `errors` of them on average between two evaluations. A tier begins to
    fire at an evaluation that finds all of its windows bad enough, after one that did not.

    Args:
        windows: (evaluations, fewest bad events) of the long window and, if there is one, of the short one.
    """
    rate = float(errors)
    (length, least), *short = windows
    mean = rate * length
    bound = math.exp(least - mean - least * math.log(least / mean)) if least > mean > 0 else float(mean > 0)
    if during * bound < _NEGLIGIBLE:
        return Decimal(0)
    if least <= mean and least > _MANY:
        return None
    chance = _begins(rate, length, least) if not short else _both_begin(rate, (length, least), short[0])
    return during * Decimal(repr(chance))


_NEGLIGIBLE: Final = 1e-9
_MANY: Final = 2000


def _begins(rate: float, length: int, least: int) -> float:
    """The chance that a window of `length` evaluations holds at least `least` events now, and did not before.

    Sum over the events that both windows share of P(newest >= least - shared) x P(oldest < least - shared): newest
    and oldest are the events of one evaluation each, both Poisson(rate) and independent.
    """
    shared, newest = _poisson(rate * (length - 1)), _poisson(rate)
    return sum(
        chance * _at_least(newest, least - count) * (1 - _at_least(newest, least - count))
        for count, chance in shared.items()
    )


def _both_begin(rate: float, long: tuple[int, int], short: tuple[int, int]) -> float:
    """The same for two windows, (evaluations, fewest events) each, that must both hold enough.

    Between the newest events and the oldest lie those in the short window, those that leave it now, and older ones.
    """
    newest, recent = _poisson(rate), _poisson(rate * (short[0] - 1))
    older = _poisson(rate * max(0, long[0] - short[0] - 1))
    total = 0.0
    for inside, inside_chance in recent.items():
        for leaving, leaving_chance in newest.items():
            for before, before_chance in older.items():
                needed = long[1] - inside - leaving - before
                now = _at_least(newest, max(short[1] - inside, needed))
                silent = 1.0 if inside + leaving < short[1] else 1 - _at_least(newest, needed)
                total += inside_chance * leaving_chance * before_chance * now * silent
    return total


def _poisson(mean: float) -> dict[int, float]:
    """The chance of each count that is not negligible."""
    if mean == 0:
        return {0: 1.0}
    reach = 8 * math.sqrt(mean) + 12
    counts = range(max(0, int(mean - reach)), int(mean + reach) + 1)
    return {count: math.exp(count * math.log(mean) - mean - math.lgamma(count + 1)) for count in counts}


def _at_least(chances: dict[int, float], count: int) -> float:
    if count <= 0:
        return 1.0
    return sum(chance for seen, chance in chances.items() if seen >= count)
