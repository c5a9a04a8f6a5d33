"""A tier that one bad slice fires.

SLIs that count slices of time have few of them: one bad minute of an hour is 1.7 % of it, 17 times the budget at
99.9 %. With `min_bad: 0` (or 1) a single late scrape pages somebody.

Ask for several bad slices: `min_bad: 3` is the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl.checks.grouped import SLOS, GroupedFinding, report, tiers
from sloctl.diagnostics import Diagnostics
from sloctl.model.alerting import BudgetLeft, Guard, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Slo

CODE: Final = "SLO109"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No tier of an SLO that counts slices fires on one of them."""
    report(found.warning, CODE, (finding for slo, tier in tiers(catalogue) for finding in _of(slo, tier)))


def _of(slo: Slo, tier: Tier) -> Iterator[GroupedFinding]:
    if not slo.counts_slices or isinstance(tier.trigger, BudgetLeft) or not _on_one(slo, tier):
        return
    slices = int(tier.averaged_over / slo.sampling.resolution)
    message = f"one bad slice of {slices} in {tier.over} fires this tier of {SLOS}"
    if slices >= 3:
        help_ = "write `min_bad: 3`, or leave it out"
    else:
        help_ = f"write `for: {slo.sampling.resolution * 2}`, or a longer `over`"
    yield GroupedFinding(slo, tier.place, message, help_)


def _on_one(slo: Slo, tier: Tier) -> bool:
    slices = tier.averaged_over / slo.sampling.resolution
    shortest = tier.also_over or tier.averaged_over
    return (
        tier.min_bad <= 1
        and tier.min_events <= slices
        and tier.guard is Guard.NONE
        and tier.for_ < shortest
        and error_threshold(tier, slo.objective) * slices < 1
    )
