"""Two severities that always fire in the same minute.

A tier fires once a share of the budget is spent: its threshold x its `over`. Two tiers with nearly the same share
fire together at every error ratio, and one failure reaches people twice, as a page and as a ticket. Usually the
higher one mutes the lower one of the same SLO (`inhibition`); this Platform says `inhibition: none`.

Let one mute the other, or give the lower tier a longer `over`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import ROUND_CEILING, Decimal
from itertools import combinations
from typing import Final

from sloctl.checks.grouped import SLOS, GroupedFinding, report
from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.alerting import BudgetLeft, Tier
from sloctl.model.budget import error_threshold
from sloctl.model.catalogue import Catalogue, Inhibition, Slo
from sloctl.model.quantities import Duration

CODE: Final = "SLO107"
_APART: Final = 5  # evaluations that the proposed lower tier fires later


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Without inhibition no two severities of an SLO fire in the same minute whatever happens."""
    platforms = [platform for platform in catalogue.platforms if platform.inhibition is Inhibition.NONE]
    slos = (slo for platform in platforms for slo in platform.slos)
    report(found.warning, CODE, (finding for slo in slos for finding in _of(slo)))


def _of(slo: Slo) -> Iterator[GroupedFinding]:
    reachable = [tier for tier in slo.tiers if not isinstance(tier.trigger, BudgetLeft)]
    ranked = sorted(reachable, key=lambda tier: tier.severity.value)
    for higher, lower in combinations(ranked, 2):
        if higher.severity is not lower.severity and _together(slo, higher, lower):
            words = f"{higher.severity.value} and {lower.severity.value}"
            message = f"{words} of {SLOS} always fire in the same minute, and nothing mutes the lower one"
            later = _later(slo, higher, lower)
            help_ = f"write `inhibition: alertmanager` in the Platform, or `over: {later}` here"
            yield GroupedFinding(slo, lower.place, message, help_, (Related(higher.place, "the other tier"),))


def _together(slo: Slo, one: Tier, other: Tier) -> bool:
    """Whether both fire within one evaluation of each other at every error ratio that fires both.

    The time until a tier fires is its threshold x `over` / error ratio + `for`: their difference is linear in the
    inverse of the ratio, so that its ends decide.
    """
    limits = [error_threshold(tier, slo.objective) for tier in (one, other)]
    resolution = Decimal(slo.sampling.resolution.milliseconds)
    spent = [limit * tier.averaged_over.milliseconds for limit, tier in zip(limits, (one, other), strict=True)]
    wait = one.for_.milliseconds - other.for_.milliseconds
    return all(abs((spent[0] - spent[1]) / ratio + wait) < resolution for ratio in (max(limits), Decimal(1)))


def _later(slo: Slo, higher: Tier, lower: Tier) -> Duration:
    """An `over` of the lower tier that lets it fire some minutes later where both fire slowest."""
    resolution = slo.sampling.resolution
    limits = [error_threshold(tier, slo.objective) for tier in (higher, lower)]
    slowest = limits[0] * higher.averaged_over.milliseconds / max(limits) + _APART * resolution.milliseconds
    tiles = slowest * max(limits) / limits[1] / resolution.milliseconds
    return resolution * int(tiles.to_integral_value(ROUND_CEILING))
