"""Alerts of a severity that their team has no route for.

Every alert of an SLO that has a team must reach that team. An SLO's tiers, its forecast and its regression have the
severities that you write; the alerts about vanished metrics and failing rules are P2. Without a route they would go
to the fallback, where nobody in particular feels meant.

Add the route to the team, such as `P2: {slack: '#checkout'}`, or give the tier another severity. SLOs in
`mode: observe` tell nobody and need no route.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.model.alerting import Mode, Severity
from sloctl.model.catalogue import Catalogue, Platform, Slo
from sloctl.model.ownership import Team

CODE: Final = "SLO140"
_EXAMPLES: Final = {
    Severity.P1: "P1: {{pagerduty: {}}}",
    Severity.P2: "P2: {{slack: '#{}'}}",
    Severity.P3: "P3: {{email: {}@example.com}}",
}


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every alert of a team's SLO has a route of its severity."""
    for platform in catalogue.platforms:
        for slo in platform.slos:
            team = platform.teams.get(slo.team or "")
            if team is not None and slo.mode is Mode.PAGE:
                _check_slo(slo, team, found)
        _check_health(platform, found)


def _check_slo(slo: Slo, team: Team, found: Diagnostics) -> None:
    for severity, place, what in _written(slo):
        if severity not in team.severities:
            _report(team, severity, place, f"{what} of {slo.id} is {severity.value}", found)
    if Severity.P2 not in team.severities and not any(one is Severity.P2 for one, _, _ in _written(slo)):
        _report(team, Severity.P2, slo.place, f"the alert on a vanished metric of {slo.id} is P2", found)


def _written(slo: Slo) -> Iterator[tuple[Severity, Place, str]]:
    for tier in slo.tiers:
        yield tier.severity, tier.place, "this tier"
    if slo.forecast:
        yield slo.forecast.severity, slo.at("forecast"), "the forecast"
    if slo.regression:
        yield slo.regression.severity, slo.at("regression"), "the regression"


def _check_health(platform: Platform, found: Diagnostics) -> None:
    """The alerts about sloctl's own rules are P2 and belong to the Platform's team."""
    team = platform.teams.get(platform.team or "")
    if (
        team is not None
        and Severity.P2 not in team.severities
        and not any(slo.team == team.name for slo in platform.slos)
    ):
        _report(team, Severity.P2, platform.place, "the alerts about the rules of this Platform are P2", found)


def _report(team: Team, severity: Severity, place: Place, what: str, found: Diagnostics) -> None:
    message = f"{what}, but team `{team.name}` has no {severity.value} route"
    related = Related(team.place, "the team's routes are here")
    found.error(CODE, place, message, f"add `{_EXAMPLES[severity].format(team.name)}` to the team", related)
