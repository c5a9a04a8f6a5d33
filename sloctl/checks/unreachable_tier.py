"""A tier that can never fire.

A tier fires when the error ratio exceeds burn x error budget. No service can have more than 100 % errors, so a
tier whose threshold is 100 % or more is silent for ever, even in a total outage. So is a tier that asks for more
bad slices, or more slices at all, than its `over` holds.

Lower the burn rate, or promise more: at an objective of 90 % the budget is 10 %, and every burn rate of 10 and
more is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl.checks.grouped import SLOS, GroupedFinding, report, tiers
from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.alerting import BudgetLeft, Burn, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import number, percent

CODE: Final = "SLO101"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every tier's threshold lies below 100 % errors, and its counts fit into `over`."""
    averaging = ((slo, tier) for slo, tier in tiers(catalogue) if not isinstance(tier.trigger, BudgetLeft))
    report(found.error, CODE, (finding for slo, tier in averaging for finding in _of(slo, tier)))


def _of(slo: Slo, tier: Tier) -> Iterator[GroupedFinding]:
    limit = error_threshold(tier, slo.objective)
    if limit >= 1:
        cause = (
            f"burn {number(tier.trigger.rate)} at {slo.objective} asks for"
            if isinstance(tier.trigger, Burn)
            else "it asks for"
        )
        message = f"this tier of {SLOS} can never fire: {cause} {percent(limit)} errors"
        help_ = f"write a burn below {number(1 / slo.objective.error_budget)}"
        related = Related(slo.at("objective"), "the objective is set here")
        yield GroupedFinding(slo, tier.place, message, help_, (related,))
    slices = slo.slices_in(tier.averaged_over) if tier.min_bad or tier.min_events else None
    for key, least in (("min_bad", tier.min_bad), ("min_events", tier.min_events)):
        if slices is not None and least > slices:
            held = f"{slices} slice{'s' * (slices != 1)}"
            message = f"this tier of {SLOS} can never fire: `{key}` asks for {least}, and {tier.over} holds {held}"
            help_ = f"write `{key}: {slices}` or less, or `over: {slo.sampling.resolution * least}`"
            yield GroupedFinding(slo, tier.place, message, help_)
