"""A tier that a single bad event fires.

At low traffic one bad event among few is a high ratio. The tier has no guard against that, so at the declared
`traffic` one failed request tells somebody, who then finds nothing.

Leave `guard` at its default, ask for several bad events with `min_bad`, or average over a longer time. SLOs without
`traffic` are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from sloctl.checks.grouped import SLOS, GroupedFinding, report, tiers
from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.alerting import BudgetLeft, Guard, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Slo
from sloctl.model.quantities import Duration, number

CODE: Final = "SLO105"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """No tier fires on one bad event at the declared traffic."""
    report(found.warning, CODE, _findings(catalogue))


def _findings(catalogue: Catalogue) -> Iterator[GroupedFinding]:
    for slo, tier in tiers(catalogue):
        if slo.traffic is None or slo.counts_slices or not _on_one(slo, tier):
            continue
        usual = number(slo.traffic.during(tier.averaged_over).quantize(Decimal("0.1")))
        message = f"one bad event among {usual} ({slo.traffic} over {tier.over}) fires this tier of {SLOS}"
        related = Related(slo.at("traffic"), "the traffic is declared here")
        yield GroupedFinding(slo, tier.place, message, _help(slo, tier), (related,))


def _on_one(slo: Slo, tier: Tier) -> bool:
    """Whether one bad event among the usual traffic is above the threshold for long enough."""
    assert slo.traffic is not None
    if isinstance(tier.trigger, BudgetLeft) or tier.guard is Guard.STATISTICAL or tier.min_bad > 1:
        return False
    events = max(slo.traffic.during(tier.averaged_over), Decimal(1))
    shortest = tier.also_over or tier.averaged_over
    return events >= tier.min_events and error_threshold(tier, slo.objective) * events < 1 and tier.for_ < shortest


def _help(slo: Slo, tier: Tier) -> str:
    assert slo.traffic is not None
    ways = ["remove `guard: none`"] if tier.guard is Guard.NONE else []
    ways.append("write `min_bad: 3`")
    resolution = slo.sampling.resolution
    slices = 1 / error_threshold(tier, slo.objective) / slo.traffic.during(resolution)
    longer = Duration(resolution.milliseconds * (int(slices) + 1))
    if longer <= slo.window.length:
        ways.append(f"average `over` {longer} or longer")
    return ", or ".join(ways)
