"""A tier that can never fire.

A tier fires when the error ratio exceeds burn x error budget. No service can have more than 100 % errors, so a
tier whose threshold is 100 % or more is silent for ever, even in a total outage.

Lower the burn rate, or promise more: at an objective of 90 % the budget is 10 %, and every burn rate of 10 and
more is out of reach.
"""

from __future__ import annotations

from typing import Final

from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.alerting import BudgetLeft, Burn
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue
from sloctl.model.quantities import number, percent

CODE: Final = "SLO101"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every tier's threshold lies below 100 % errors."""
    for slo in catalogue.slos:
        for tier in slo.tiers:
            limit = error_threshold(tier, slo.objective)
            if isinstance(tier.trigger, BudgetLeft) or limit < 1:
                continue
            reach = number(1 / slo.objective.error_budget)
            cause = (
                f"burn {number(tier.trigger.rate)} at {slo.objective} asks for"
                if isinstance(tier.trigger, Burn)
                else "this tier asks for"
            )
            found.error(
                CODE,
                tier.place,
                f"this tier of {slo.id} can never fire: {cause} {percent(limit)} errors",
                f"write a burn below {reach}",
                Related(slo.at("objective"), "the objective is set here"),
            )
