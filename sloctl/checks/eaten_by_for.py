"""A tier that is eaten by its `for`.

`over` already says how much must have gone wrong, and `also_over` ends the alert soon after the errors do. A `for`
comes on top of both: while it runs, the budget goes on burning, and an outage that ends meanwhile tells nobody
however much it spent. At 99.99 % over 30 days a total outage spends the whole budget in 4 minutes and 19 seconds,
so that a `for: 5m` tells only of budgets that are gone.

Two things are checked, for a total outage at steady traffic: that the tier fires before the budget is spent, and
that a `for` as long as `also_over` does not hide outages which spend more than the tier's own share of the budget.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from typing import Final

from sloctl.checks.grouped import SLOS, GroupedFinding, report, tiers
from sloctl.diagnostics import Diagnostics
from sloctl.model.alerting import BudgetLeft, Tier
from sloctl.model.budget import error_threshold, exhaustion_time, tier_detection_time
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import Duration, percent

CODE: Final = "SLO106"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No tier waits until its budget is gone, or until short outages are over."""
    report(found.warning, CODE, (finding for slo, tier in tiers(catalogue) for finding in _of(slo, tier)))


def _of(slo: Slo, tier: Tier) -> Iterator[GroupedFinding]:
    if not tier.for_ or isinstance(tier.trigger, BudgetLeft):
        return
    noticed = tier_detection_time(tier, slo.objective, Decimal(1), slo.sampling.resolution)
    gone = exhaustion_time(slo.objective, slo.window.length)
    if noticed is None or noticed >= gone:  # other checks' business: it never fires, or not for want of a `for`
        return
    fires, hidden = noticed + tier.for_, _hidden(slo, tier, noticed)
    longest = min(_before(slo, gone - noticed), _unhidden(slo, tier, noticed))
    help_ = f"write `for: {longest}` or less, or leave it out" if longest else "leave `for` out"
    if gone <= fires:
        cause = f"a total outage spends all of it in {_seconds(gone)}, and the tier fires after {fires}"
        yield GroupedFinding(slo, tier.place, f"this tier of {SLOS} fires when the budget is gone: {cause}", help_)
    elif hidden is not None:
        spent = percent((hidden / gone).quantize(Decimal("0.01")))
        cause = f"a total one of {hidden} tells nobody and spends {spent} of the budget"
        yield GroupedFinding(slo, tier.place, f"the `for` of this tier of {SLOS} hides outages: {cause}", help_)


def _hidden(slo: Slo, tier: Tier, noticed: Duration) -> Duration | None:
    """The longest total outage that ends before the `for` does, when the tier should tell of it."""
    if tier.also_over is None or tier.for_ < tier.also_over:
        return None
    longest = noticed + tier.for_ - _lasts(slo, tier, tier.also_over)
    return longest if longest > _tolerated(slo, tier, noticed) else None


def _unhidden(slo: Slo, tier: Tier, noticed: Duration) -> Duration:
    """The longest `for` that hides no outage which the tier should tell of."""
    if tier.also_over is None:
        return tier.for_
    unhidden = _tolerated(slo, tier, noticed) + _lasts(slo, tier, tier.also_over) - noticed
    return max(unhidden - unhidden % slo.sampling.resolution, _before(slo, tier.also_over))


def _lasts(slo: Slo, tier: Tier, also_over: Duration) -> Duration:
    """How long the shorter window stays above the threshold after a total outage."""
    tiles = also_over / slo.sampling.resolution * (1 - error_threshold(tier, slo.objective))
    return slo.sampling.resolution * int(tiles.to_integral_value(ROUND_CEILING))


def _tolerated(slo: Slo, tier: Tier, noticed: Duration) -> Duration:
    """The longest total outage of which the tier would not tell without its `for`, or the shortest there is."""
    share = Duration(int(error_threshold(tier, slo.objective) * tier.averaged_over.milliseconds))
    return max(share, noticed)


def _before(slo: Slo, end: Duration) -> Duration:
    """The longest multiple of the resolution that is shorter."""
    return slo.sampling.resolution * ((end.milliseconds - 1) // slo.sampling.resolution.milliseconds)


def _seconds(length: Duration) -> Duration:
    return Duration(length.milliseconds // 1000 * 1000) or length
