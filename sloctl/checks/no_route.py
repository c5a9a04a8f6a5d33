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

from sloctl.checks import merging
from sloctl.checks.merging import SLOS, Opinion
from sloctl.diagnostics import Diagnostics, Place, Related
from sloctl.diagnostics import Severity as Finding
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
    missing = (one for platform in catalogue.platforms for one in _missing(platform))
    merging.merge(found, Finding.ERROR, CODE, missing)
    for platform in catalogue.platforms:
        _check_health(platform, found)


def _missing(platform: Platform) -> Iterator[tuple[Slo, Opinion, tuple[Related, ...]]]:
    for slo in platform.slos:
        team = platform.teams.get(slo.team or "")
        if team is None or slo.mode is Mode.OBSERVE:
            continue
        for severity, place, what in dict.fromkeys(_written(slo)):
            if severity not in team.severities:
                related = (Related(team.place, "the team's routes are here"),)
                yield (
                    slo,
                    Opinion(place, _message(f"{what} of {SLOS} is", team, severity), _help(team, severity)),
                    related,
                )
        if Severity.P2 not in team.severities:
            message = _message(f"the alert on a vanished metric of {SLOS} is", team, Severity.P2)
            related = (Related(slo.place, "this SLO has such an alert"),)
            yield slo, Opinion(team.place, message, _help(team, Severity.P2)), related


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
    if team is None or Severity.P2 in team.severities or any(slo.team == team.name for slo in platform.slos):
        return
    message = _message("an alert on failing rules of this Platform is", team, Severity.P2)
    related = Related(team.place, "the team's routes are here")
    found.error(CODE, platform.place, message, _help(team, Severity.P2), related)


def _message(what: str, team: Team, severity: Severity) -> str:
    return f"{what} {severity.value}, but team `{team.name}` has no {severity.value} route"


def _help(team: Team, severity: Severity) -> str:
    return f"add `{_EXAMPLES[severity].format(team.name)}` to the team"
