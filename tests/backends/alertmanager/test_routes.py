"""Who is told, and that an incident keeps its identity whatever is added beside it."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloctl.backends.alertmanager.diff import changes
from sloctl.backends.alertmanager.routes import inhibit_rules, receivers, route_tree, time_intervals, verify
from sloctl.backends.alertmanager.tree import all_routes, matched
from sloctl.conventions.inventory import Alert, platform_alerts
from sloctl.errors import SloctlError
from sloctl.model.alerting import Mode, Severity
from sloctl.model.catalogue import Catalogue, Inhibition, PagerDutyKeys
from sloctl.model.ownership import Route
from tests.backends.alertmanager.catalogues import ONE, Owned, catalogue, one, platform

NAMES = st.sampled_from(["api", "cart", "pay", "search", "stock", "web-shop", "a", "b-c"])
SPLIT = st.lists(st.sampled_from(["tenant", "region", "shard", "team"]), max_size=2, unique=True)
SLOS = st.dictionaries(st.sampled_from(["ok", "fast", "fresh"]), SPLIT, min_size=1)


@st.composite
def grown(draw: st.DrawFn) -> tuple[Catalogue, Catalogue]:
    """A catalogue, and the same one with more teams, services, SLOs and platforms."""
    teams = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    services = draw(st.dictionaries(NAMES, st.tuples(st.sampled_from(teams), SLOS), min_size=1, max_size=4))
    more_teams = [*teams, *(f"new-{name}" for name in draw(st.lists(NAMES, max_size=3, unique=True)))]
    more = {
        name: (team, {**slos, **{f"new-{k}": v for k, v in draw(SLOS).items()}})
        for name, (team, slos) in services.items()
    }
    new = draw(st.dictionaries(NAMES.map("new-{}".format), st.tuples(st.sampled_from(more_teams), SLOS), max_size=3))
    before = platform("shop", teams, [Owned(name, *owned) for name, owned in services.items()])
    after = platform("shop", draw(st.permutations(more_teams)), [Owned(n, *o) for n, o in {**new, **more}.items()])
    bank = platform("bank", more_teams, [Owned(name, *owned) for name, owned in services.items()])
    return Catalogue((before,)), Catalogue(draw(st.sampled_from([(after,), (bank, after)])))


def labels_of(alert: Alert) -> dict[str, str]:
    return {**alert.labels, "alertname": alert.name, **{label: f"{label} 7" for label in alert.split}}


def incidents(made: Catalogue, alerts: list[Alert]) -> list[list[tuple[str | None, str]]]:
    tree = route_tree(made)
    return [
        [(route.receiver, route.incident(labels_of(alert))) for route in matched(tree, labels_of(alert))]
        for alert in alerts
    ]


@pytest.mark.property
@given(grown())
def test_teams_services_and_slos_added_beside_change_no_incident(catalogues: tuple[Catalogue, Catalogue]) -> None:
    before, after = catalogues
    alerts = list(platform_alerts(before.platforms[0]))
    assert incidents(before, alerts) == incidents(after, alerts)


@pytest.mark.property
@given(grown())
def test_every_alert_reaches_its_team_and_every_route_is_matched(catalogues: tuple[Catalogue, Catalogue]) -> None:
    for made in catalogues:
        tree = route_tree(made)
        verify(made, tree)
        for alert in chain.from_iterable(map(platform_alerts, made.platforms)):
            names = [route.receiver or "" for route in matched(tree, labels_of(alert))]
            if team := alert.labels.get("team"):
                assert names
                assert all(f"-{team}-" in name for name in names)


def test_a_tier_that_notifies_reaches_its_route_and_its_severity() -> None:
    tree = route_tree(
        catalogue(
            ONE.replace("web: {", "web: {")
            .replace("burn: 6", "burn: 6, notify: [incident]")
            .replace("    P2: {slack: '#web'}", "    P2: {slack: '#web'}\n    incident: {slack: '#incident'}")
        )
    )
    labels = {"sloctl": "v1", "platform": "shop", "team": "web", "severity": "P2", "notify": "incident"}
    assert [route.receiver for route in matched(tree, labels)] == ["slo-shop-web-incident", "slo-shop-web-P2"]
    both = {**labels, "notify": "costs,incident"}
    assert [route.receiver for route in matched(tree, both)] == ["slo-shop-web-incident", "slo-shop-web-P2"]


def test_an_observed_slo_tells_nobody() -> None:
    service = one().services[0]
    watched = replace(service, slos=tuple(replace(slo, mode=Mode.OBSERVE) for slo in service.slos))
    made = Catalogue((replace(one(), services=(watched,)),))
    tree = route_tree(made)
    alerts = [alert for alert in platform_alerts(made.platforms[0]) if "slo" in alert.labels]
    assert {route.receiver for alert in alerts for route in matched(tree, labels_of(alert))} == {"slo-observe"}
    assert {"name": "slo-observe"} in receivers(made, tree)


def test_what_nobody_owns_goes_to_the_fallback() -> None:
    made = Catalogue((replace(one(), fallback=Route(slack="#lost")),))
    tree = route_tree(made)
    shop = {"sloctl": "v1", "platform": "shop", "severity": "P1"}
    assert [route.receiver for route in matched(tree, {**shop, "team": "unknown"})] == ["slo-shop-fallback"]
    assert [route.receiver for route in matched(tree, shop)] == ["slo-shop-fallback"]
    assert [route.receiver for route in matched(tree, {**shop, "platform": "unknown"})] == ["slo-fallback"]
    assert matched(tree, {"alertname": "NodeDown", "team": "web"}) == []


def test_without_a_fallback_the_base_decides() -> None:
    tree = route_tree(Catalogue((one(),)))
    assert [route.receiver for route in matched(tree, {"sloctl": "v1", "platform": "shop", "team": "unknown"})] == [
        None
    ]


def test_a_page_is_never_muted_and_a_ticket_waits_for_office_hours() -> None:
    made = Catalogue((platform("shop", ["web"], [Owned("api", "web", {"ok": []})]),))
    tree = route_tree(made)
    muted = {route.receiver: route.route.time_intervals for route in all_routes(tree) if route.route.time_intervals}
    assert muted == {"slo-shop-web-P3": ("slo-shop-web-office-hours",)}
    assert [interval["name"] for interval in time_intervals(made, tree)] == ["slo-shop-web-office-hours"]


@pytest.mark.parametrize(
    ("inhibition", "rules"), [(Inhibition.ALERTMANAGER, 2), (Inhibition.RULE, 0), (Inhibition.NONE, 0)]
)
def test_alertmanager_mutes_lower_tiers_only_where_it_is_asked_to(inhibition: Inhibition, rules: int) -> None:
    made = inhibit_rules(Catalogue((replace(one(), inhibition=inhibition),)))
    assert len(made) == rules
    assert all(rule["equal"] == ["platform", "slo"] for rule in made)


def test_one_key_serves_all_teams_of_an_orchestration() -> None:
    shop = platform("shop", ["a", "b"], [Owned("x", "a", {"ok": []}), Owned("y", "b", {"ok": []})])
    made = Catalogue((replace(shop, pagerduty=PagerDutyKeys.SINGLE_ORCHESTRATION),))
    configs = [
        receiver["pagerduty_configs"]
        for receiver in receivers(made, route_tree(made))
        if "pagerduty_configs" in receiver
    ]
    assert len(configs) == 2
    for config in configs:
        assert isinstance(config, list)
        assert config[0]["routing_key_file"] == "/etc/alertmanager/secrets/pagerduty-shop"
        assert {"team", "service"} <= config[0]["details"].keys()


def test_an_alert_that_reaches_only_the_fallback_is_refused() -> None:
    team = replace(one().teams["web"], severities={Severity.P1: Route(pagerduty="web")})
    made = Catalogue((replace(one(), teams={"web": team}),))
    with pytest.raises(SloctlError, match="reaches nobody but the fallback"):
        verify(made, route_tree(made))


def test_a_route_that_another_one_hides_is_refused() -> None:
    words = {Severity.P1: "page", Severity.P2: "page", Severity.P3: "P3"}
    made = Catalogue((replace(one(), severities=words),))
    with pytest.raises(SloctlError, match="no alert takes the route"):
        verify(made, route_tree(made))


def test_a_new_word_for_a_severity_orphans_incidents_and_is_named() -> None:
    before = Catalogue((one(),))
    after = Catalogue((replace(one(), severities={**one().severities, Severity.P1: "critical"}),))
    assert [change.receiver for change in changes(route_tree(before), route_tree(after))] == ["slo-shop-web-P1"]
    assert list(changes(route_tree(before), route_tree(before))) == []
