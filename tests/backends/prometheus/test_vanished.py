"""Dead targets page, a metric that is gone is told, and quiet is silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.backends.prometheus.conftest import RuleTest, write_rules

SPEC = """
apiVersion: sloctl/v1
kind: Service
service: api
alerts: {alerts}
slos:
  - name: ok
    objective: 99%
    sli: {sli}
    {slo}
"""
JOB = """{ratio: {total: 'requests_total{job="api"}', bad_if: 'code="500"'}}"""
ROUTE = """{ratio: {total: 'requests_total{route="/refund"}', bad_if: 'code="500"'}}"""
Values = list[tuple[str, str, list[dict[str, Any]]]]


def spec(sli: str = JOB, slo: str = "", alerts: str = "google") -> str:
    return SPEC.format(sli=sli, slo=slo, alerts=alerts)


def requests(values: str, instance: str = "a", more: str = "") -> dict[str, str]:
    return {f'requests_total{{job="api", instance="{instance}", code="200"{more}}}': values}


def up(values: str, instance: str = "a", job: str = "api") -> dict[str, str]:
    return {f'up{{job="{job}", instance="{instance}"}}': values}


def firing(kind: str, at: str, count: int) -> tuple[str, str, list[dict[str, Any]]]:
    """So many alerts of a kind fire at a moment."""
    expr = f"count(ALERTS{{alertstate='firing', burn_tier='{kind}'}})"
    return at, expr, [{"labels": "{}", "value": count}] if count else []


def never(kind: str, at: str) -> tuple[str, str, list[dict[str, Any]]]:
    return at, f"max_over_time(ALERTS{{alertstate='firing', burn_tier='{kind}'}}[{at}])", []


@pytest.mark.server
@pytest.mark.parametrize("dead", ["0", "stale"])
@pytest.mark.parametrize("sli", [JOB, ROUTE])
def test_targets_that_are_all_dead_page_within_three_and_a_half_minutes(
    rule_test: RuleTest, dead: str, sli: str
) -> None:
    gone = "1x99 0x300 1x100" if dead == "0" else "1x99 stale _x299 1x100"
    served = requests("0+60x99 stale _x299 0+60x100", more=', route="/refund"')
    rule_test(
        spec(sli),
        up(gone) | served | up("1x600", job="other", instance="z"),
        values=[  # the last good scrape is at 49m30s
            firing("down", "51m", 0),
            firing("down", "53m", 1),
            firing("down", "130m", 1),  # until they are back, not for an hour
            firing("down", "199m", 1),
            firing("down", "211m", 0),
            firing("blind", "199m", 0),
        ],
    )


@pytest.mark.server
def test_a_target_that_lives_or_an_hour_without_events_is_no_page(rule_test: RuleTest) -> None:
    both = up("1x99 0x300") | up("1x400", instance="b")
    rule_test(spec(), both | requests("0+60x99 stale") | requests("0+6x400", "b"), values=[never("down", "190m")])
    quiet = up("1x299 0x300") | requests("0+60x99 5940x200 stale")
    rule_test(spec(), quiet, values=[never("down", "290m")])


@pytest.mark.server
def test_a_rollout_and_a_pause_of_prometheus_are_no_page(rule_test: RuleTest) -> None:
    old, new = up("1x99 stale"), up("_x99 1x300", instance="b")
    rollout = old | new | requests("0+60x99 stale") | requests("_x120 0+60x280", "b")
    rule_test(spec(), rollout, values=[never("down", "190m"), never("blind", "190m")])
    paused = up("1x99 _x40 1x200") | requests("0+60x99 _x40 8400+60x200")
    rule_test(spec(), paused, values=[firing("down", "70m", 0), firing("down", "71m", 0), firing("down", "72m", 0)])


@pytest.mark.server
def test_pushed_metrics_without_up_are_blind_and_not_down(rule_test: RuleTest) -> None:
    pushed = spec(slo="new_series: count")
    rule_test(pushed, requests("0+60x99"), values=[never("down", "190m"), firing("blind", "80m", 1)])


def alerts(folder: Path, text: str) -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(write_rules(text, folder).read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_down_is_as_urgent_as_the_most_urgent_tier_and_both_can_be_turned_off(tmp_path: Path) -> None:
    assert alerts(tmp_path, spec())["ApiOkDown"]["labels"]["severity"] == "P1"
    tickets = alerts(tmp_path, spec(alerts="[{severity: P3, burn: 2, over: 1h}]"))
    assert tickets["ApiOkDown"]["labels"]["severity"] == "P3"
    assert "ApiOkDown" not in alerts(tmp_path, spec(alerts="none"))
    query = "{query: {total: 'increase(a[$window])', bad: 'increase(b[$window])'}}"
    assert "ApiOkDown" not in alerts(tmp_path, spec(query))
    off = alerts(tmp_path, spec(slo="blind: none\n    down: none"))
    assert not {"ApiOkDown", "ApiOkBlind"} & set(off)
    longer = alerts(tmp_path, spec(slo="blind: 30m\n    down: 5m"))
    assert longer["ApiOkDown"]["for"] == "5m"
    assert "[30m]" in longer["ApiOkBlind"]["expr"]


@pytest.mark.server
@pytest.mark.parametrize("sli", [JOB, ROUTE])
def test_a_metric_is_gone_while_its_process_lives(rule_test: RuleTest, sli: str) -> None:
    seldom = up("1x1000") | requests("0 1x300 stale", more=', route="/refund"')
    rule_test(spec(sli), seldom, values=[firing("blind", "166m", 0), firing("blind", "180m", 1)])


@pytest.mark.server
@pytest.mark.parametrize("sli", [JOB, ROUTE])
def test_what_nobody_asked_for_since_a_deployment_is_quiet(rule_test: RuleTest, sli: str) -> None:
    seldom = requests("0x100 1x200 stale", more=', route="/refund"') | requests("0+60x299 stale", more=', route="/"')
    pods = up("1x299 stale") | up("_x300 1x1000", instance="b")
    if sli == JOB:
        seldom |= requests("_x301 0+60x1000", "b", ', route="/"')
    rule_test(spec(sli), pods | seldom, values=[never("blind", "500m"), never("down", "500m")])


@pytest.mark.server
def test_a_latency_that_nobody_has_asked_for_since_a_deployment_is_quiet(rule_test: RuleTest) -> None:
    labels, sli = 'job="api", instance="a"', "{latency: {histogram: 'took_seconds{job=\"api\"}', at_most: 1s}}"
    seldom = {
        f"took_seconds_count{{{labels}}}": "0x100 1x199 stale",
        f'took_seconds_bucket{{{labels}, le="1"}}': "0x100 1x199 stale",
        f'took_seconds_bucket{{{labels}, le="+Inf"}}': "0x100 1x199 stale",
    }
    pods = up("1x299 stale") | up("_x300 1x1000", instance="b")
    rule_test(spec(sli), pods | seldom, values=[never("blind", "500m"), never("down", "500m")])


@pytest.mark.server
def test_a_restart_on_the_same_host_is_a_deployment_too(rule_test: RuleTest) -> None:
    started = {'process_start_time_seconds{job="api", instance="a"}': "-86400x299 9000x1000"}
    seldom = up("1x1300") | requests("0x100 1x199 stale")
    rule_test(spec(), seldom | started, values=[never("blind", "600m")])


@pytest.mark.server
def test_a_metric_that_was_renamed_by_a_deployment_is_blind_where_traffic_was_steady(rule_test: RuleTest) -> None:
    pods = up("1x299 stale") | up("_x300 1x1000", instance="b")
    rule_test(
        spec(),
        pods | requests("0+60x299 stale"),
        values=[firing("blind", "164m", 0), firing("blind", "176m", 1), firing("blind", "600m", 1)],
    )


@pytest.mark.server
def test_a_selector_that_never_matched_is_blind(rule_test: RuleTest) -> None:
    rule_test(spec(), up("1x300"), values=[firing("blind", "60m", 1), firing("blind", "140m", 1)])


@pytest.mark.server
def test_a_split_value_is_gone_only_while_its_process_lives(rule_test: RuleTest) -> None:
    pods = up("1x1800 stale") | up("_x1800 1x1600", instance="b") | up("1x3400", instance="c")
    big = requests("0+60x1800 stale", more=', tenant="big"') | requests("_x1800 0+60x1600", "b", ', tenant="big"')
    night = requests("1+1x600 601x1199 stale", more=', tenant="night"')
    gone = requests("1+1x1799 stale", "c", ', tenant="gone"') | requests("0+1x3400", "c", ', tenant="big"')
    told = [{"labels": '{tenant="gone"}', "value": 1}]
    expr = "count by (tenant) (ALERTS{alertstate='firing', burn_tier='blind'})"
    rule_test(
        spec(slo="by: [tenant]"),
        pods | big | night | gone,
        interval="1m",
        every="4m",
        values=[("1812m", expr, []), ("1832m", expr, told), ("2800m", expr, told)],
    )


@pytest.mark.server
def test_samples_that_are_stamped_ten_minutes_ago_are_counted_and_not_blind(rule_test: RuleTest) -> None:
    """At every evaluation, the newest sample is ten minutes old: what is younger is not there yet."""
    late = requests("0x60 60+60x200") | up("1x300")
    for at, total in (("40m", 0), ("40m30s", 0), ("60m", 120)):
        tile = (at, "sum(slo:sli_total:increase1m)", [{"labels": "{}", "value": total}])
        rule_test(spec(slo="late_by: 10m"), late, values=[tile, never("blind", "60m")], only="fast")
    ended = up("1x600") | requests("0+1x200 stale")
    rule_test(spec(slo="late_by: 10m"), ended, values=[firing("blind", "124m", 0), firing("blind", "140m", 1)])


QUERY = "{query: {total: 'sum(increase(asked[$window]))', bad: 'sum(increase(lost[$window]))'}}"


@pytest.mark.server
def test_bad_events_of_a_query_that_vanished_are_blind_and_those_that_never_were_are_none(rule_test: RuleTest) -> None:
    asked = {'asked{job="api", instance="a"}': "0+60x500"} | up("1x500")
    rule_test(spec(QUERY), asked, values=[never("blind", "240m")])
    vanished = asked | {'lost{job="api", instance="a"}': "0+6x200 stale"}
    rule_test(spec(QUERY), vanished, values=[firing("blind", "114m", 0), firing("blind", "124m", 1)])


@pytest.mark.server
def test_bad_events_of_a_query_that_a_new_process_never_had_are_none(rule_test: RuleTest) -> None:
    old = {'asked{job="api", instance="a"}': "0+60x199 stale", 'lost{job="api", instance="a"}': "0+6x199 stale"}
    new = {'asked{job="api", instance="b"}': "_x200 0+60x300"} | up("_x200 1x300", instance="b")
    rule_test(spec(QUERY), old | new | up("1x199 stale"), values=[never("blind", "240m")])


@pytest.mark.server
@pytest.mark.parametrize(("ends", "told"), [("_x100", 1), ("stale _x99", 0)], ids=["late", "restarted"])
def test_samples_that_are_old_when_they_come_are_blind(rule_test: RuleTest, ends: str, told: int) -> None:
    """As they look a few minutes after their newest one: their target answers, and no marker says that they ended."""
    rule_test(spec(), up("1x200") | requests(f"5x80 {ends}"), values=[firing("blind", "52m", told)])
