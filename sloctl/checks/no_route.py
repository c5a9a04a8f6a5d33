"""Alerts of a severity that their team has no route for.

Every alert of an SLO that has a team must reach that team. An SLO's tiers, its forecast and its regression have the
severities that you write; the alerts about vanished metrics and failing rules are P2. Without a route they would go
to the fallback, where nobody in particular feels meant.

Add the route to the team, such as `P2: {slack: '#checkout'}`, or give the tier another severity. SLOs in
`mode: observe` tell nobody and need no route.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, assert_never

from sloctl.checks.grouped import SLOS, GroupedFinding, report
from sloctl.conventions import inventory
from sloctl.conventions.inventory import Alert, BuiltIn
from sloctl.diagnostics import Diagnostics, Related
from sloctl.model.alerting import Forecast, Mode, Regression, Severity, Tier
from sloctl.model.catalogue import Catalogue, Platform
from sloctl.model.ownership import Team

CODE: Final = "SLO140"
_EXAMPLES: Final = {
    Severity.P1: "P1: {{pagerduty: {}}}",
    Severity.P2: "P2: {{slack: '#{}'}}",
    Severity.P3: "P3: {{email: {}@example.com}}",
}


def check(catalogue: Catalogue, found: Diagnostics) -> None:
    """Every alert of a team's SLO has a route of its severity."""
    report(found.error, CODE, (finding for platform in catalogue.platforms for finding in _missing(platform)))
    for platform in catalogue.platforms:
        _check_health(platform, found)


def _missing(platform: Platform) -> Iterator[GroupedFinding]:
    for slo in platform.slos:
        team = platform.teams.get(slo.team or "")
        if team is None or slo.mode is Mode.OBSERVE:
            continue
        told = dict.fromkeys((alert.severity, alert.place, _what(alert)) for alert in inventory.alerts(platform, slo))
        for severity, place, what in told:
            if severity is None or severity in team.severities:
                continue
            message, help_ = _message(f"{what} of {SLOS} is", team, severity), _help(team, severity)
            if place is None:
                related = Related(slo.place, "this SLO has such an alert")
                yield GroupedFinding(slo, team.place, message, help_, (related,))
            else:
                related = Related(team.place, "the team's routes are here")
                yield GroupedFinding(slo, place, message, help_, (related,))


def _what(alert: Alert) -> str:
    match alert.cause:
        case Tier():
            return "this tier"
        case Forecast():
            return "the forecast"
        case Regression():
            return "the regression"
        case BuiltIn():  # whoever misses it misses the one on too many series as well
            return "the alert on a vanished metric"
        case _:
            assert_never(alert.cause)


def _check_health(platform: Platform, found: Diagnostics) -> None:
    """The alerts about sloctl's own rules belong to the Platform's team."""
    team = platform.teams.get(platform.team or "")
    if team is None or any(slo.team == team.name for slo in platform.slos):
        return
    for severity in dict.fromkeys(alert.severity for alert in inventory.health_alerts(platform)):
        if severity is not None and severity not in team.severities:
            message = _message("an alert on failing rules of this Platform is", team, severity)
            related = Related(team.place, "the team's routes are here")
            found.error(CODE, platform.place, message, _help(team, severity), related)


def _message(what: str, team: Team, severity: Severity) -> str:
    return f"{what} {severity.value}, but team `{team.name}` has no {severity.value} route"


def _help(team: Team, severity: Severity) -> str:
    return f"add `{_EXAMPLES[severity].format(team.name)}` to the team"
