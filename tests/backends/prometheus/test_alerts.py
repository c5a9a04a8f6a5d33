"""Alerts that tell what other alerts cannot: vanished metrics, too many series, silenced lower tiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.backends.prometheus.conftest import RuleTest, write_rules

SPEC = """
apiVersion: sloctl/v1
kind: Platform
name: shop
inhibition: {inhibition}
---
apiVersion: sloctl/v1
kind: Service
service: api
alerts: {alerts}
slos:
  - name: ok
    objective: 99%
    sli: {{{sli}}}
    annotations: {{summary: s, description: d}}
    {slo}
"""
RATIO = "ratio: {total: requests, bad_if: 'code=\"500\"'}"
TEXTS = {"summary": "s", "description": "d"}


def spec(slo: str = "", sli: str = RATIO, alerts: str = "none", inhibition: str = "alertmanager") -> str:
    return SPEC.format(sli=sli, slo=slo, alerts=alerts, inhibition=inhibition)


def firing(severity: str, burn_tier: str, **labels: str) -> dict[str, Any]:
    fixed = {"platform": "shop", "service": "api", "slo": "api-ok", "sloctl": "v1"}
    return {"exp_labels": fixed | {"severity": severity, "burn_tier": burn_tier} | labels, "exp_annotations": TEXTS}


BLIND = firing("P2", "blind")


@pytest.mark.server
def test_a_split_value_that_vanished_is_blind_while_others_go_on(rule_test: RuleTest) -> None:
    tile = 'slo:sli_total:increase4m{platform="shop", service="api", slo="api-ok", tenant="gone"}'
    series = {'requests{tenant="here"}': "0+1x600", 'requests{tenant="gone"}': "0+1x30", tile: "4x20 _x500"}
    rule_test(
        spec("by: [tenant]"),
        series,
        interval="4m",
        every="4m",
        only="slow",
        alerts=[("23h", "ApiOkBlind", []), ("25h", "ApiOkBlind", [firing("P2", "blind", tenant="gone")])],
    )


@pytest.mark.server
def test_when_everything_vanished_one_alert_says_so_and_not_one_for_each_value(rule_test: RuleTest) -> None:
    tiles = {
        f'slo:sli_total:increase4m{{platform="shop", service="api", slo="api-ok", tenant="{number}"}}': "4x20 _x500"
        for number in range(5)
    }
    rule_test(
        spec("by: [tenant]"),
        tiles,
        interval="4m",
        every="4m",
        only="slow",
        alerts=[("25h", "ApiOkBlind", [BLIND])],
    )


@pytest.mark.server
def test_a_latency_slo_is_blind_without_the_bucket_of_its_bound(rule_test: RuleTest) -> None:
    series = {"took_seconds_count": "0+1x60", 'took_seconds_bucket{le="0.25"}': "0+1x60"}
    sli = "latency: {histogram: took_seconds, at_most: 300ms}"
    rule_test(spec(sli=sli), series, interval="1m", alerts=[("30m", "ApiOkBlind", [BLIND])])


@pytest.mark.server
@pytest.mark.parametrize("lacking", ["requests", "failures"])
def test_a_split_label_that_one_side_lacks_is_blind_instead_of_a_perfect_score(
    rule_test: RuleTest, lacking: str
) -> None:
    series = {name + ("" if name == lacking else '{tenant="t"}'): "0+1x60" for name in ("requests", "failures")}
    sli = "ratio: {total: requests, bad: failures}"
    rule_test(spec("by: [tenant]", sli), series, interval="1m", alerts=[("40m", "ApiOkBlind", [BLIND])])


@pytest.mark.server
def test_a_list_is_blind_only_when_all_of_it_is_gone(rule_test: RuleTest) -> None:
    sli = "ratio: {total: [requests, calls], bad_if: 'code=\"500\"'}"
    series = {"requests": "0+1x20 stale", "calls": "0+1x60 stale"}
    rule_test(spec(sli=sli), series, interval="1m", alerts=[("50m", "ApiOkBlind", []), ("85m", "ApiOkBlind", [BLIND])])


@pytest.mark.server
def test_a_query_is_blind_when_it_returns_nothing(rule_test: RuleTest) -> None:
    sli = "query: {total: 'sum(increase(asked[$window]))', bad: 'sum(increase(lost[$window]))'}"
    series = {"asked": "0+1x40 stale"}
    rule_test(spec(sli=sli), series, interval="30s", alerts=[("20m", "ApiOkBlind", []), ("45m", "ApiOkBlind", [BLIND])])


@pytest.mark.server
def test_more_split_values_than_expected_are_told_before_the_rules_fail(rule_test: RuleTest) -> None:
    series = {f'requests{{job="x", instance="a", tenant="{number}"}}': "0+1x60" for number in range(4)}
    few = spec("by: [tenant]\n    max_series: 4")
    rule_test(few, series, interval="1m", alerts=[("10m", "ApiOkTooManySeries", [])])
    many = spec("by: [tenant]\n    max_series: 3")
    told = [firing("P2", "health")]
    rule_test(many, series, interval="1m", alerts=[("10m", "ApiOkTooManySeries", told)])


def test_ten_times_too_many_split_values_fail_the_rule_instead_of_the_server(tmp_path: Path) -> None:
    groups = yaml.safe_load(write_rules(spec("by: [tenant]\n    max_series: 1000"), tmp_path).read_text())["groups"]
    assert [group["limit"] for group in groups] == [10_000, 10_000, 10_000]


TIERS = "[{severity: P1, burn: 20, over: 5m, keep_firing_for: 0s}, {severity: P3, burn: 2, over: 5m}]"
FAILING = {
    'up{job="x", instance="a"}': "1x300",
    'requests{job="x", instance="a", code="200"}': "0+50x300",
    'requests{job="x", instance="a", code="500"}': "0x100 0+50x30 1500x200",
}


@pytest.mark.server
@pytest.mark.parametrize(("inhibition", "told"), [("rule", []), ("none", [firing("P3", "p3-5m")])])
def test_inhibition_by_rule_silences_the_lower_tier_while_the_higher_one_fires(
    rule_test: RuleTest, inhibition: str, told: list[dict[str, Any]]
) -> None:
    rule_test(
        spec(alerts=TIERS, inhibition=inhibition),
        FAILING,
        interval="1m",
        only="fast",
        alerts=[
            ("110m", "ApiOkBudgetBurnP1Over5m", [firing("P1", "p1-5m")]),
            ("110m", "ApiOkBudgetBurnP3Over5m", told),
        ],
    )


TWINS = """
apiVersion: sloctl/v1
kind: Platform
name: shop
---
apiVersion: sloctl/v1
kind: Service
service: a1
alerts: [{severity: P1, burn: 20, over: 5m, keep_firing_for: 0s}]
slos: [{name: 2-x, objective: 99%, sli: {ratio: {total: fine, bad_if: 'code="500"'}}}]
---
apiVersion: sloctl/v1
kind: Service
service: a12
alerts: [{severity: P1, burn: 20, over: 5m, keep_firing_for: 0s}]
slos:
  - name: x
    objective: 99%
    sli: {ratio: {total: requests, bad_if: 'code="500"'}}
    annotations: {summary: s, description: d}
"""


@pytest.mark.server
def test_of_two_slos_whose_alerts_have_one_name_the_right_one_fires(rule_test: RuleTest) -> None:
    labels = {"service": "a12", "slo": "a12-x"}
    rule_test(
        TWINS,
        FAILING | {'fine{job="x", instance="a", code="200"}': "0+50x300"},
        interval="1m",
        only="fast",
        alerts=[("110m", "A12XBudgetBurnP1Over5m", [firing("P1", "p1-5m", **labels)])],
    )


@pytest.mark.server
def test_budget_left_fires_at_its_share_and_not_for_two_errors_of_a_young_budget(rule_test: RuleTest) -> None:
    alerts = "[{severity: P3, budget_left: 25%}]"
    fixed = '{platform="shop", service="api", slo="api-ok"}'
    young = {f"slo:sli_total:increase1m{fixed}": "10x400", f"slo:sli_errors:increase1m{fixed}": "0x9 1x1 0x400"}
    name = "ApiOkBudgetLeftP3At25"
    rule_test(spec(alerts=alerts), young, interval="1m", every="4m", only="slow", alerts=[("60m", name, [])])
    measured = {f"slo:measured_since:timestamp_seconds{fixed}": "-31536000x500"}
    spent = measured | {
        f"slo:sli_total:increase1m{fixed}": "1000x400",
        f"slo:sli_errors:increase1m{fixed}": "0x99 10x300",
    }
    # 10 of 1 000 an hour and a half later: 75 % of 1 % of all events after 300 tiles with errors of 400 in all
    rule_test(
        spec(alerts=alerts),
        spent,
        interval="1m",
        every="4m",
        only="slow",
        alerts=[("392m", name, []), ("404m", name, [firing("P3", "p3-left-25")])],
    )
