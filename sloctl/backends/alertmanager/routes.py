"""The routing tree of a catalogue: platform, then team, then severity.

An incident's identity is the path of matchers that leads to it (see `tree`), so matchers hold nothing but the
names that it belongs to: another team, service or SLO changes no path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from sloctl import conventions
from sloctl.backends.alertmanager.receivers import SECRETS, Destination, receiver
from sloctl.backends.alertmanager.tree import (
    MatchedRoute,
    RouteNode,
    Timing,
    all_routes,
    equal,
    matched,
    written_matcher,
)
from sloctl.conventions import inventory
from sloctl.conventions.inventory import Alert, BuiltIn, platform_alerts
from sloctl.errors import SloctlError
from sloctl.model.alerting import Mode, Severity
from sloctl.model.catalogue import Catalogue, Inhibition, Platform
from sloctl.model.ownership import Route, Team
from sloctl.model.selector import Matcher, MatchOperator

TIMINGS: Final = {
    Severity.P1: Timing("10s", "1m", "4h"),
    Severity.P2: Timing("30s", "5m", "12h"),
    Severity.P3: Timing("1m", "5m", "3d"),
}
"""A page waits only for the other tiers of its SLO; a ticket is repeated within the 5d that Alertmanager remembers."""
HEARTBEAT: Final = Timing("0s", "1m", "5m")


def routed(catalogue: Catalogue) -> list[Platform]:
    """The platforms that say where alerts go."""
    return [platform for platform in catalogue.platforms if platform.teams or platform.fallback or platform.watchdog]


def route_tree(catalogue: Catalogue) -> RouteNode:
    """The one child that the base's root route gets."""
    platforms = routed(catalogue)
    observed = RouteNode(equal(mode=Mode.OBSERVE.value), receiver=conventions.OBSERVED)
    return RouteNode(
        equal(sloctl=conventions.ALERT_VERSION),
        receiver=conventions.FALLBACK if any(map(_own_fallback, platforms)) else None,
        group_by=("platform", "slo", "severity"),
        timing=TIMINGS[Severity.P2],
        routes=(*([observed] if _observes(platforms) else []), *map(_platform_route, platforms)),
    )


def _observes(platforms: Iterable[Platform]) -> bool:
    return any(slo.mode is Mode.OBSERVE for platform in platforms for slo in platform.slos)


def _platform_route(platform: Platform) -> RouteNode:
    alerts = list(platform_alerts(platform))
    watchdog = RouteNode(
        equal(alertname=conventions.WATCHDOG),
        receiver=conventions.watchdog_receiver(platform),
        group_by=("platform",),
        timing=HEARTBEAT,
    )
    teams = (_team_route(platform, team, alerts) for _, team in sorted(platform.teams.items()))
    return RouteNode(
        equal(platform=platform.name),
        receiver=conventions.fallback_receiver(platform) if platform.fallback else None,
        group_by=("platform", "slo", "severity", *split_names(platform)),
        routes=(watchdog, *(team for team in teams if team.routes)),
    )


def split_names(platform: Platform) -> list[str]:
    """Every split label of a platform; an alert is grouped by those that it has."""
    return sorted({label for slo in platform.slos for label in slo.split_labels})


def _team_route(platform: Platform, team: Team, alerts: list[Alert]) -> RouteNode:
    """One route for each that an alert takes; those of `notify` first, because they have `continue: true`."""
    raised = (alert.labels for alert in alerts)
    own = [labels for labels in raised if labels.get("team") == team.name and "mode" not in labels]
    named = {name for labels in own for name in labels.get("notify", "").split(",")}
    words = {labels.get("severity") for labels in own}
    notified = (_notified(platform, team, name) for name in sorted(team.routes) if name in named)
    severities = (
        _severity(platform, team, severity)
        for severity in Severity
        if severity in team.severities and conventions.severity_word(platform, severity) in words
    )
    return RouteNode(equal(team=team.name), routes=(*notified, *severities))


def _notified(platform: Platform, team: Team, name: str) -> RouteNode:
    named = Matcher("notify", MatchOperator.REGEX, f"(.*,)?{name}(,.*)?")
    to = conventions.team_receiver(platform, team, name)
    return RouteNode((named,), receiver=to, continue_=True, timing=TIMINGS[Severity.P1])


def _severity(platform: Platform, team: Team, severity: Severity) -> RouteNode:
    waits = severity is Severity.P3 and team.office_hours is not None
    return RouteNode(
        equal(severity=conventions.severity_word(platform, severity)),
        receiver=conventions.team_receiver(platform, team, severity.value),
        timing=TIMINGS[severity],
        time_intervals=(conventions.office_hours(platform, team),) if waits else (),
    )


def receivers(catalogue: Catalogue, tree: RouteNode, secrets: str = SECRETS) -> list[dict[str, object]]:
    """Every receiver that the tree names."""
    destinations = dict(_destinations(catalogue))
    named = dict.fromkeys(route.receiver for route in all_routes(tree) if route.receiver)
    return [receiver(name, destinations[name], secrets) for name in named if is_own_name(name)]


def _destinations(catalogue: Catalogue) -> Iterator[tuple[str, list[Destination]]]:
    platforms = routed(catalogue)
    yield conventions.OBSERVED, []
    yield (
        conventions.FALLBACK,
        [Destination(platform, route) for platform in platforms if (route := _own_fallback(platform))],
    )
    for platform in platforms:
        for to in inventory.receivers(platform):
            yield to.name, [Destination(platform, to.route, to.severity)] if to.route else []


def _own_fallback(platform: Platform) -> Route | None:
    """The fallback of a platform where it is a receiver of ours."""
    return platform.fallback if platform.fallback and platform.fallback.receiver is None else None


def time_intervals(catalogue: Catalogue, tree: RouteNode) -> list[dict[str, object]]:
    """The office hours that the tree names."""
    named = {name for route in all_routes(tree) for name in route.route.time_intervals}
    return [
        {"name": conventions.office_hours(platform, team), "time_intervals": [_hours(team)]}
        for platform in routed(catalogue)
        for _, team in sorted(platform.teams.items())
        if conventions.office_hours(platform, team) in named
    ]


def _hours(team: Team) -> dict[str, object]:
    hours = team.office_hours
    assert hours is not None
    return {
        "weekdays": list(hours.days),
        "times": [{"start_time": hours.start, "end_time": hours.end}],
        "location": hours.time_zone,
    }


def inhibit_rules(catalogue: Catalogue) -> list[dict[str, object]]:
    """A higher tier of an SLO mutes its lower ones. Rules are global, so both sides say whose alerts they mean."""
    return [
        {
            "source_matchers": _tiers(platform, higher),
            "target_matchers": _tiers(platform, lower),
            "equal": ["platform", "slo", *split_names(platform)],
        }
        for platform in routed(catalogue)
        if platform.inhibition is Inhibition.ALERTMANAGER
        for higher, lower in (("p1", "p2|p3"), ("p2", "p3"))
    ]


def _tiers(platform: Platform, severities: str) -> list[str]:
    own = equal(sloctl=conventions.ALERT_VERSION, platform=platform.name)
    tiers = Matcher("burn_tier", MatchOperator.REGEX, f"({severities})-.+")
    return [written_matcher(matcher) for matcher in (*own, tiers)]


def verify(catalogue: Catalogue, tree: RouteNode) -> None:
    """Nothing is lost and nothing is written in vain: the fence behind the checks.

    Raises:
        SloctlError: an alert of a team reaches only the fallback, or no alert takes a route.
    """
    reached = set[str]()
    fallbacks = {conventions.FALLBACK, None, *map(conventions.fallback_receiver, catalogue.platforms)}
    for alert in distinct(catalogue):
        routes = matched(tree, alert.labels)
        reached |= {_identity(route) for route in routes}
        if alert.labels.get("team") and all(route.receiver in fallbacks for route in routes):
            raise SloctlError(f"{alert.name} of team `{alert.labels['team']}` reaches nobody but the fallback")
    for route in all_routes(tree):
        if not route.route.routes and _identity(route) not in reached:
            raise SloctlError(f"no alert takes the route {route.key} to {route.receiver}")


def _identity(route: MatchedRoute) -> str:
    return f"{route.key} {route.receiver}"


def distinct(catalogue: Catalogue) -> list[Alert]:
    """One alert for each set of the labels that routes look at."""
    names = ("alertname", "sloctl", "platform", "team", "severity", "notify", "mode")
    seen: dict[tuple[str, ...], Alert] = {}
    for platform in routed(catalogue):
        for alert in platform_alerts(platform):
            labels = {**alert.labels, "alertname": alert.name}
            watchdog = alert.cause is BuiltIn.WATCHDOG
            key = tuple(labels.get(name, "") for name in names[0 if watchdog else 1 :])
            seen.setdefault(key, alert._replace(labels=labels))
    return list(seen.values())


def is_own_name(name: str) -> bool:
    """Whether a receiver or time interval has a name that belongs to sloctl."""
    return re.match(re.escape(conventions.OWN_PREFIX), name) is not None
