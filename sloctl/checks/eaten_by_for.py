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

from sloctl.checks.merging import SLOS, Opinion, merge, tiers
from sloctl.diagnostics import Diagnostics, Severity
from sloctl.model.alerting import BudgetLeft, Tier
from sloctl.model.budget import error_threshold, exhaustion_time, tier_detection_time
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import ZERO, Duration, percent

CODE: Final = "SLO106"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No tier waits until its budget is gone, or until short outages are over."""
    merge(
        found, Severity.WARNING, CODE, ((slo, one, ()) for _, slo, tier in tiers(catalogue) for one in _of(slo, tier))
    )


def _of(slo: Slo, tier: Tier) -> Iterator[Opinion]:
    if not tier.for_ or isinstance(tier.trigger, BudgetLeft):
        return
    noticed = tier_detection_time(tier, slo.objective, Decimal(1), slo.sampling.resolution)
    if noticed is None:  # it never fires, as another check says
        return
    gone = exhaustion_time(slo.objective, slo.window.length)
    fires = noticed + tier.for_
    if noticed < gone <= fires:
        cause = f"a total outage spends all of it in {_rounded(gone)}, and the tier fires after {fires}"
        longest = _whole(slo, gone - noticed - Duration(1))
        yield Opinion(tier.place, f"this tier of {SLOS} fires when the budget is gone: {cause}", _help(longest))
    elif tier.also_over is not None and tier.for_ >= tier.also_over:
        yield from _hidden(slo, tier, tier.also_over, noticed, gone)


def _hidden(slo: Slo, tier: Tier, also_over: Duration, noticed: Duration, gone: Duration) -> Iterator[Opinion]:
    """The longest total outage that ends before the `for` does, when it spends more than the tier tolerates."""
    resolution, limit = slo.sampling.resolution, error_threshold(tier, slo.objective)
    stays = resolution * int((also_over / resolution * (1 - limit)).to_integral_value(ROUND_CEILING))
    missed = noticed + tier.for_ - stays
    tolerated = Duration(int(limit * tier.averaged_over.milliseconds))
    if missed <= max(tolerated, noticed):
        return
    spent = percent((missed / gone).quantize(Decimal("0.01")))
    example = f"a total one of {missed} tells nobody and spends {spent} of the budget"
    message = f"the `for` of this tier of {SLOS} hides outages: {example}"
    longest = max(tolerated, noticed) + stays
    yield Opinion(tier.place, message, _help(_whole(slo, longest - noticed) if longest > noticed else ZERO))


def _whole(slo: Slo, length: Duration) -> Duration:
    """The longest multiple of the resolution within a time."""
    return length - length % slo.sampling.resolution


def _rounded(length: Duration) -> Duration:
    return Duration(length.milliseconds // 1000 * 1000) or length


def _help(longest: Duration) -> str:
    return f"write `for: {longest}` or less, or leave it out" if longest else "leave `for` out"
