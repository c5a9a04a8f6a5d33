"""A page that goes to nobody of the team.

The SLO has a P1 tier, and its team has no P1 route, so that its pages go to the Platform's fallback. Whoever reads
that does not know the service, or nobody does at night.

    teams:
      shop:
        P1: {pagerduty: shop, slack: '#shop-pages'}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl.checks.merging import SLOS, Opinion, merge
from sloctl.diagnostics import Diagnostics, Related, Severity
from sloctl.model import alerting
from sloctl.model.catalogue import Catalogue, Platform, Slo

CODE: Final = "SLO116"


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every team whose SLOs page has a P1 route."""
    merge(found, Severity.WARNING, CODE, (one for platform in catalogue.platforms for one in _of(platform)))


def _of(platform: Platform) -> Iterator[tuple[Slo, Opinion, tuple[Related, ...]]]:
    for slo in platform.slos:
        team = platform.teams.get(slo.team or "")
        pages = slo.mode is alerting.Mode.PAGE and any(tier.severity is alerting.Severity.P1 for tier in slo.tiers)
        if team is not None and pages and alerting.Severity.P1 not in team.severities:
            message = f"team `{team.name}` has no P1 route: pages of {SLOS} go to the fallback"
            help_ = f"add `P1: {{pagerduty: {team.name}}}` to the team"
            yield slo, Opinion(team.place, message, help_), (Related(slo.place, "this SLO pages"),)
